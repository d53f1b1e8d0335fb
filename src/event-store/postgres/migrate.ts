/**
 * Brings the schema `jobledger` of a database to what this program needs.
 *
 * A migration is a file `000123-name.sql` in the `migrations` folder of the folder that owns its tables; numbers are
 * unique over all of them. Each is applied once, in order of number, in a transaction of its own with its row in
 * `jobledger.migrations`. Any number of processes may start at once: one migrates, the others wait and find it done.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';

/** Folders with migrations; the same in `src` and in `dist`, where the build copies the `.sql` files. */
export const migrationFolders = (root = new URL('../../', import.meta.url)): readonly URL[] =>
  ['event-store/postgres', 'event-store/eventstoredb', 'leases', 'projections', 'commands', 'reaper'].map(
    (owner) => new URL(`${owner}/migrations/`, root),
  );

/** The database and the program do not fit: nothing was changed, and a person has to look. */
export class SchemaMismatch extends Error {}

interface Migration {
  readonly number: number;
  /** Six digits: `000001`. */
  readonly label: string;
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
}

const FILE = /^(\d{6})-([a-z0-9-]+)\.sql$/;

const readFolder = async (folder: URL): Promise<Migration[]> => {
  let files: string[];
  try {
    files = await readdir(folder);
  } catch (error) {
    // A folder may own no tables. A migration that a database has and the program lacks is found below.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return Promise.all(
    files
      .filter((file) => file.endsWith('.sql'))
      .map(async (file) => {
        const [, label, name] = FILE.exec(file) ?? [];
        if (label === undefined || name === undefined) {
          throw new SchemaMismatch(`${file} in ${folder.pathname} is not named like 000001-log.sql`);
        }
        const sql = (await readFile(new URL(file, folder), 'utf8')).replaceAll('\r\n', '\n');
        const checksum = createHash('sha256').update(sql).digest('hex');
        return { number: Number(label), label, name, sql, checksum };
      }),
  );
};

const readMigrations = async (folders: readonly URL[]): Promise<Migration[]> => {
  const migrations = (await Promise.all(folders.map(readFolder))).flat().sort((a, b) => a.number - b.number);
  if (migrations.length === 0) {
    throw new SchemaMismatch(`no migrations in ${folders.map(({ pathname }) => pathname).join(', ')}`);
  }
  migrations.slice(1).forEach((migration, index) => {
    const before = migrations[index]!;
    if (before.number !== migration.number) return;
    throw new SchemaMismatch(`two migrations have number ${before.label}: ${before.name} and ${migration.name}`);
  });
  return migrations;
};

/** Session lock; jobledger.append has (…, 1). */
export const MIGRATION_LOCK = [1785686636, 2];

const PREPARE = `
  create schema if not exists jobledger;
  create table if not exists jobledger.migrations (
    number integer primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp()
  );`;

/** @throws SchemaMismatch when the database holds a migration that the program does not, or another text of one */
const pending = async (client: pg.Client, migrations: readonly Migration[]): Promise<readonly Migration[]> => {
  const { rows: applied } = await client.query<{ number: number; name: string; checksum: string }>(
    'select number, name, checksum from jobledger.migrations order by number',
  );
  const known = new Map(migrations.map((migration) => [migration.number, migration]));
  for (const { number, name, checksum } of applied) {
    const migration = known.get(number);
    const label = String(number).padStart(6, '0');
    if (migration === undefined) {
      const last = migrations.at(-1)!.label;
      throw new SchemaMismatch(
        `database of a newer schema: it has migration ${label}-${name}, this program knows them up to ${last}`,
      );
    }
    if (migration.checksum !== checksum) {
      throw new SchemaMismatch(
        `migration ${label}-${name} is not the one that this database was made with (sha256 ${checksum})`,
      );
    }
  }
  const done = new Set(applied.map(({ number }) => number));
  return migrations.filter(({ number }) => !done.has(number));
};

const apply = async (client: pg.Client, { number, label, name, sql, checksum }: Migration): Promise<void> => {
  try {
    await client.query('begin');
    await client.query(sql);
    const values = [number, name, checksum];
    await client.query('insert into jobledger.migrations (number, name, checksum) values ($1, $2, $3)', values);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw new Error(`applying migration ${label}-${name}`, { cause: error });
  }
};

/**
 * @returns the migrations that were applied, like `000001-log`
 * @throws SchemaMismatch when the database is of a newer program, or an applied migration was changed
 */
export const migrate = async (
  connectionString: string,
  folders: readonly URL[] = migrationFolders(),
): Promise<readonly string[]> => {
  const migrations = await readMigrations(folders);
  const client = new pg.Client({ connectionString, application_name: 'jobledger migrate' });
  // What breaks the connection fails the statement that runs; without a listener it would end the process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query('set statement_timeout = 0');
    await client.query('select pg_advisory_lock($1, $2)', MIGRATION_LOCK);
    const { rows } = await client.query<{ ready: boolean }>(
      `select to_regclass('jobledger.migrations') is not null as ready`,
    );
    if (rows[0]?.ready !== true) await client.query(PREPARE);
    const todo = await pending(client, migrations);
    for (const migration of todo) await apply(client, migration);
    return todo.map(({ label, name }) => `${label}-${name}`);
  } finally {
    // Ends the session, and with it the lock.
    await client.end();
  }
};

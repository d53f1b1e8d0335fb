/**
 * One service owns a data folder at a time. Ownership is a session-level advisory lock in the server itself, so it
 * ends with the owner's connection: no file is left by kill -9, and no recycled pid is mistaken for a live owner.
 */
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type DataFolder, readPassword, SUPERUSER } from './data-folder.js';
import { EmbeddedPostgresError, reasonOf } from './embedded-postgres-error.js';
import type { Postmaster } from './postmaster.js';

/** The database of the service. The lock is held in `postgres`, which a restore of the other leaves alone. */
const DATABASE = 'jobledger';
const LOCK_KEY = 7_460_532_901;
const APPLICATION = 'jobledger owner';
/** A server notices at once that its client was killed; on a loaded machine "at once" takes its turn. */
const LOCK_WAIT_MS = 2_000;
const POLL_MS = 50;

const INVALID_PASSWORD = '28P01';
/** SQLSTATE of shutdown, crash and recovery; codes of the socket. `pg` gives a connection that just ended no code. */
const GOING = /^(57P0[1-3]|ECONNREFUSED|ECONNRESET|EPIPE)$/;

/** Thrown when the server went away or goes down: look for it again. */
export class ServerGoing extends Error {}

export const urlOf = (folder: DataFolder, { port }: Postmaster): string =>
  `postgresql://${SUPERUSER}:${readPassword(folder)}@127.0.0.1:${port}/${DATABASE}`;

const codeOf = (error: unknown): string | undefined => (error as { code?: string }).code;

const isGoing = (error: unknown): boolean =>
  GOING.test(codeOf(error) ?? '') || reasonOf(error).startsWith('Connection terminated');

const connect = async (folder: DataFolder, { port, pid }: Postmaster): Promise<pg.Client> => {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: SUPERUSER,
    password: readPassword(folder),
    database: 'postgres',
    application_name: `${APPLICATION} ${process.pid}`,
    connectionTimeoutMillis: 10_000,
    ssl: false,
  });
  try {
    await client.connect();
    return client;
  } catch (cause) {
    if (codeOf(cause) === INVALID_PASSWORD) {
      throw new EmbeddedPostgresError(
        `The PostgreSQL server in ${folder.path} (pid ${pid}) does not accept the password in ${folder.passwordFile}: stop it, then restore the file.`,
        { cause },
      );
    }
    if (isGoing(cause)) throw new ServerGoing(reasonOf(cause), { cause });
    throw new EmbeddedPostgresError(`The PostgreSQL server in ${folder.path} does not answer: ${reasonOf(cause)}`, {
      cause,
    });
  }
};

/** A copied folder has the same password: only the server that reads this very folder knows what was just put there. */
const provesFolder = async (client: pg.Client, folder: DataFolder): Promise<boolean> => {
  const name = `jobledger.${randomBytes(6).toString('hex')}`;
  const file = join(folder.cluster, name);
  const proof = randomBytes(16).toString('hex');
  writeFileSync(file, proof, { mode: 0o644 });
  try {
    const { rows } = await client.query<{ found: string | null }>('select pg_read_file($1, true) as found', [name]);
    return rows[0]?.found === proof;
  } finally {
    rmSync(file, { force: true });
  }
};

const tryLock = async (client: pg.Client): Promise<boolean> => {
  const { rows } = await client.query<{ locked: boolean }>('select pg_try_advisory_lock($1) as locked', [LOCK_KEY]);
  return rows[0]?.locked === true;
};

const ownerPid = async (client: pg.Client): Promise<string> => {
  const { rows } = await client.query<{ name: string }>(
    `select a.application_name as name from pg_locks l join pg_stat_activity a using (pid)
     where l.locktype = 'advisory' and l.granted and a.application_name like $1`,
    [`${APPLICATION} %`],
  );
  return rows[0]?.name.slice(APPLICATION.length + 1) ?? 'unknown';
};

const createDatabase = async (client: pg.Client): Promise<void> => {
  const { rowCount } = await client.query('select from pg_database where datname = $1', [DATABASE]);
  if (rowCount === 0) await client.query(`create database ${DATABASE}`);
};

/**
 * Takes the folder, and makes the service's database when it is new.
 * @returns the connection that holds it: ownership lasts as long as that.
 * @throws EmbeddedPostgresError when a live service holds it; ServerGoing when the server is on its way out.
 */
export const takeOwnership = async (folder: DataFolder, server: Postmaster): Promise<pg.Client> => {
  const client = await connect(folder, server);
  // Without a listener the loss of the connection would end the process; who waits for it adds their own.
  client.on('error', () => undefined);
  try {
    if (!(await provesFolder(client, folder))) {
      throw new EmbeddedPostgresError(
        `The server with pid ${server.pid}, which ${folder.cluster}/postmaster.pid names, serves another folder: remove that file.`,
      );
    }
    for (let waitedMs = 0; !(await tryLock(client)); waitedMs += POLL_MS) {
      if (waitedMs >= LOCK_WAIT_MS) {
        throw new EmbeddedPostgresError(
          `The data folder ${folder.path} is in use by a running Jobledger (pid ${await ownerPid(client)}): stop it, or set JOBLEDGER_DATA_DIR to another folder, or JOBLEDGER_DATABASE_URL to share its database.`,
        );
      }
      await sleep(POLL_MS);
    }
    await createDatabase(client);
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    if (error instanceof EmbeddedPostgresError) throw error;
    if (isGoing(error)) throw new ServerGoing(reasonOf(error), { cause: error });
    throw new EmbeddedPostgresError(`Taking the data folder ${folder.path} failed: ${reasonOf(error)}`, {
      cause: error,
    });
  }
};

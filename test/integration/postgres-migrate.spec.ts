import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { migrate, migrationFolders, SchemaMismatch } from '../../src/event-store/postgres/migrate.js';
import type { TestDatabase } from '../support/test-database.js';
import { createTestDatabase } from '../support/test-database.js';

describe('migrations', () => {
  let database: TestDatabase;
  let root: string;
  let client: pg.Client;

  beforeEach(async () => {
    database = await createTestDatabase();
    root = await mkdtemp(join(tmpdir(), 'jobledger-migrations-'));
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
  });
  afterEach(async () => {
    await client.end();
    await database.drop();
    await rm(root, { recursive: true });
  });

  /** A folder with the files. */
  const folder = async (files: Record<string, string>): Promise<URL> => {
    const path = await mkdtemp(join(root, 'folder-'));
    for (const [name, sql] of Object.entries(files)) await writeFile(join(path, name), sql);
    return pathToFileURL(`${path}/`);
  };
  const applied = async (): Promise<string[]> => {
    const { rows } = await client.query<{ name: string }>('select name from jobledger.migrations order by number');
    return rows.map(({ name }) => name);
  };
  const one = { '000001-one.sql': 'create table jobledger.one (n int); insert into jobledger.one values (1);' };

  it('of several folders are applied once, in order of number', async () => {
    const folders = [
      await folder({ ...one, '000003-three.sql': 'insert into jobledger.two values (3);' }),
      await folder({ '000002-two.sql': 'create table jobledger.two as table jobledger.one;' }),
      new URL('missing/', pathToFileURL(`${root}/`)),
    ];
    expect(await migrate(database.url, folders)).toEqual(['000001-one', '000002-two', '000003-three']);
    expect(await migrate(database.url, folders)).toEqual([]);
    expect((await client.query('select n from jobledger.two order by n')).rows).toEqual([{ n: 1 }, { n: 3 }]);
  });

  it('are applied once by 20 processes that start at once', async () => {
    const results = await Promise.all(Array.from({ length: 20 }, () => migrate(database.url)));
    const made = results.filter((names) => names.length > 0);
    expect(made).toHaveLength(1);
    expect(made[0]![0]).toBe('000001-log');
    expect(await applied()).toEqual(made[0]!.map((name) => name.slice(7)));
  });

  it('that come later are added', async () => {
    const first = await folder(one);
    await migrate(database.url, [first]);
    expect(await migrate(database.url, [first, await folder({ '000002-two.sql': 'select 1' })])).toEqual([
      '000002-two',
    ]);
  });

  it('of a newer program are refused', async () => {
    const first = await folder(one);
    await migrate(database.url, [first, await folder({ '000007-seven.sql': 'select 1' })]);
    const failed = migrate(database.url, [first]);
    await expect(failed).rejects.toBeInstanceOf(SchemaMismatch);
    await expect(failed).rejects.toThrow(
      'database of a newer schema: it has migration 000007-seven, this program knows them up to 000001',
    );
  });

  it('that were changed after they were applied are refused, and nothing is applied', async () => {
    await migrate(database.url, [await folder(one)]);
    const changed = { '000001-one.sql': 'create table jobledger.other (n int);', '000002-two.sql': 'select 1' };
    await expect(migrate(database.url, [await folder(changed)])).rejects.toThrow(
      'migration 000001-one is not the one that this database was made with',
    );
    expect(await applied()).toEqual(['one']);
  });

  it('are the same with the line ends of another system', async () => {
    await migrate(database.url, [await folder({ '000001-one.sql': 'select 1;\nselect 2;\n' })]);
    expect(await migrate(database.url, [await folder({ '000001-one.sql': 'select 1;\r\nselect 2;\r\n' })])).toEqual([]);
  });

  it('that fail leave nothing of themselves, and what was before them stays', async () => {
    const broken = await folder({ '000002-two.sql': 'create table jobledger.two (n int); select 1/0;' });
    const failed = migrate(database.url, [await folder(one), broken]);
    await expect(failed).rejects.toThrow('applying migration 000002-two');
    await expect(failed).rejects.toMatchObject({ cause: { code: '22012' } });
    expect(await applied()).toEqual(['one']);
    expect((await client.query(`select to_regclass('jobledger.two') as two`)).rows).toEqual([{ two: null }]);
  });

  it('stand in the table of migrations exactly when they were applied', async () => {
    const impostor = `create table jobledger.two (n int); insert into jobledger.migrations values (2, 'x', 'y');`;
    const failed = migrate(database.url, [await folder({ ...one, '000002-two.sql': impostor })]);
    await expect(failed).rejects.toMatchObject({ cause: { code: '23505' } });
    expect(await applied()).toEqual(['one']);
    expect((await client.query(`select to_regclass('jobledger.two') as two`)).rows).toEqual([{ two: null }]);
  });

  it('with one number twice, or a name out of form, or of an empty program are refused', async () => {
    const twice = [await folder(one), await folder({ '000001-uno.sql': 'select 1' })];
    await expect(migrate(database.url, twice)).rejects.toThrow('two migrations have number 000001');
    await expect(migrate(database.url, [await folder({ '1-one.sql': '' })])).rejects.toThrow('is not named like');
    await expect(migrate(database.url, [])).rejects.toThrow('no migrations in');
  });

  it('stand beside the code that owns their tables', () => {
    const paths = migrationFolders(new URL('file:///app/dist/')).map(({ pathname }) => pathname);
    expect(paths).toContain('/app/dist/event-store/postgres/migrations/');
    expect(paths).toContain('/app/dist/leases/migrations/');
  });
});

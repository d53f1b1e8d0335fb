import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { compositeArray, type RowColumn } from '../../src/event-store/postgres/composite-array.js';

interface Row {
  readonly id: string | null;
  readonly text: string | null;
  readonly n: number | null;
}

const columns: readonly RowColumn<Row>[] = [
  { type: 'int4', value: (_row, index) => index },
  { type: 'uuid', value: ({ id }) => id },
  { type: 'text', value: ({ text }) => text },
  { type: 'int8', value: ({ n }) => n },
  { type: 'bool', value: ({ n }) => n === null },
];

/** The server is the judge of its own format. */
describe('an array of rows', () => {
  let client: pg.Client;
  let oid: number;
  beforeAll(async () => {
    client = new pg.Client({ connectionString: process.env['JOBLEDGER_TEST_DATABASE_URL'] });
    await client.connect();
    await client.query('create type pg_temp.sample as (at int, id uuid, text text, n bigint, empty bool)');
    oid = (await client.query<{ oid: number }>(`select 'pg_temp.sample'::regtype::oid as oid`)).rows[0]!.oid;
  });
  afterAll(() => client.end());

  const asServerReads = async (rows: readonly Row[]): Promise<unknown> => {
    const text = 'select to_json(array(select r from unnest($1::pg_temp.sample[]) r)) as read';
    return (await client.query<{ read: unknown }>(text, [compositeArray(oid, columns, rows)])).rows[0]!.read;
  };

  it('is read by the server as it was meant', async () => {
    const id = '0190a5b0-0000-7000-8000-000000000001';
    expect(
      await asServerReads([
        { id, text: 'é😀 "{a,b}"', n: -5 },
        { id: null, text: '', n: null },
      ]),
    ).toEqual([
      { at: 0, id, text: 'é😀 "{a,b}"', n: -5, empty: false },
      { at: 1, id: null, text: '', n: null, empty: true },
    ]);
  });

  it('may be empty, and grows with what it holds', async () => {
    expect(await asServerReads([])).toEqual([]);
    const large = Array.from({ length: 50 }, (_, n) => ({ id: null, text: '€'.repeat(1_000 * n), n }));
    expect(await asServerReads(large)).toEqual(
      large.map(({ text, n }) => ({ at: n, id: null, text, n, empty: false })),
    );
  });

  it('does not take what does not fit its column', () => {
    expect(() => compositeArray(oid, columns, [{ id: 'no-uuid', text: null, n: null }])).toThrow('is no UUID');
    expect(() => compositeArray(oid, columns, [{ id: null, text: 'a\0b', n: null }])).toThrow('\\u0000');
  });
});

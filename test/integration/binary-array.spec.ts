import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { ArrayType, ArrayValue } from '../../src/event-store/postgres/binary-array.js';
import { binaryArray } from '../../src/event-store/postgres/binary-array.js';

/** The server is the judge of its own format. */
describe('a binary array', () => {
  let client: pg.Client;
  beforeAll(async () => {
    client = new pg.Client({ connectionString: process.env['JOBLEDGER_TEST_DATABASE_URL'] });
    await client.connect();
  });
  afterAll(() => client.end());

  const asServerReads = async (type: ArrayType, values: readonly ArrayValue[]): Promise<unknown> => {
    const text = `select to_json(array(select v::text from unnest($1::${type}[]) with ordinality u(v, n) order by n)) as read`;
    await client.query(`set timezone = 'UTC'`);
    return (await client.query<{ read: unknown }>(text, [binaryArray(type, values)])).rows[0]!.read;
  };

  it.each<[ArrayType, readonly ArrayValue[], readonly (string | null)[]]>([
    ['uuid', ['0190A5B0-0000-7000-8000-000000000001', null], ['0190a5b0-0000-7000-8000-000000000001', null]],
    ['text', ['', 'é😀', null, 'NULL', '{"a,b"}'], ['', 'é😀', null, 'NULL', '{"a,b"}']],
    ['int4', [0, -1, 2_147_483_647, null], ['0', '-1', '2147483647', null]],
    ['int8', [1n, '9223372036854775807', -5, null], ['1', '9223372036854775807', '-5', null]],
    ['bool', [true, null, false], ['true', null, 'false']],
    [
      'timestamptz',
      [Date.UTC(2026, 0, 2, 3, 4, 5, 678), 0, null, -1],
      ['2026-01-02 03:04:05.678+00', '1970-01-01 00:00:00+00', null, '1969-12-31 23:59:59.999+00'],
    ],
    ['bytea', [Buffer.from([0, 255]), new Uint8Array(0), null], ['\\x00ff', '\\x', null]],
  ])('of %s is read by the server as it was meant', async (type, values, read) => {
    expect(await asServerReads(type, values)).toEqual(read);
    expect(await asServerReads(type, [])).toEqual([]);
  });

  it.each<[ArrayType, ArrayValue]>([
    ['uuid', 'no-uuid'],
    ['uuid', '0190a5b0-0000-7000-8000-0000000000'],
    ['uuid', '0190a5b0-0000-7000-8000-00000000000001'],
    ['text', 'a\0b'],
    ['int4', 2_147_483_648],
    ['int8', '9223372036854775808'],
    ['int8', 1.5],
    ['timestamptz', NaN],
  ])('of %s does not take %p', (type, value) => {
    expect(() => binaryArray(type, [value])).toThrow();
  });
});

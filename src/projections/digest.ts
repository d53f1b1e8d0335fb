/** What a projection says, as one hash: equal for two that say the same, however the events came to them. */
import { createHash } from 'node:crypto';
import { rowsOf, type Projection } from './projection.js';
import type { Tx } from './transaction.js';

/**
 * Rows are hashed alone, sorted by that in 256 buckets, and a bucket is hashed as one: no order of the table matters,
 * and no value grows with more than a fraction of it.
 */
const bucketsOf = (rows: string): string => `
  select encode(sha256(string_agg(hash, ''::bytea order by hash)), 'hex') as digest
  from (select sha256(convert_to(r::text, 'UTF8')) as hash from (${rows}) r) h
  group by get_byte(hash, 0) order by get_byte(hash, 0)`;

/** Hex digest of the rows. Of several statements: call it where nothing writes, or in one snapshot. */
export const digest = async ({ name, version, tables }: Projection, tx: Tx): Promise<string> => {
  const hash = createHash('sha256').update(`${name} ${version}\n`);
  for (const table of tables) {
    const buckets = await tx.query<{ digest: string }>({ text: bucketsOf(rowsOf(table, tx.schema)) });
    hash.update(`${buckets.map((bucket) => bucket.digest).join(' ')}\n`);
  }
  return hash.digest('hex');
};

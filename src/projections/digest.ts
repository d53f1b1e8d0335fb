/**
 * What a projection says, as one hash: equal for two that say the same, however the events came to them.
 *
 *   digest = sha256(name ‖ ' ' ‖ version ‖ for each table, in order: '\n' ‖ for each row, in order of its key:
 *                   sha256 of the row as PostgreSQL writes it, key and fields)
 *
 * The fields are those of `ProjectionTable`: JSON as `jsonb`, whose members have one order, so neither the order in
 * which a caller wrote them counts, nor the pages in which events were applied.
 */
import { createHash } from 'node:crypto';
import { rowsOf, type Projection, type ProjectionTable } from './projection.js';
import { keyList, keyParameters, keyTexts } from './table-sql.js';
import type { Tx } from './transaction.js';

/** Rows of one statement. */
const PAGE_ROWS = 5_000;

interface HashedRow {
  readonly key: readonly string[];
  readonly hash: Buffer;
}

const pageOf = (table: ProjectionTable, after: readonly string[] | undefined, tx: Tx): Promise<readonly HashedRow[]> =>
  tx.query<HashedRow>({
    text: `select ${keyTexts(table)} as key, sha256(convert_to(r::text, 'UTF8')) as hash
      from (${rowsOf(table, tx.schema)}) r
      ${after === undefined ? '' : `where (${keyList(table)}) > (${keyParameters(table, 1)})`}
      order by ${keyList(table)} limit ${PAGE_ROWS}`,
    ...(after === undefined ? {} : { values: after }),
  });

/** Hex digest of the rows. Of several statements: call it where nothing writes, or in one snapshot. */
export const digest = async ({ name, version, tables }: Projection, tx: Tx): Promise<string> => {
  const hash = createHash('sha256').update(`${name} ${version}`);
  for (const table of tables) {
    hash.update('\n');
    let after: readonly string[] | undefined;
    for (;;) {
      const rows = await pageOf(table, after, tx);
      for (const row of rows) hash.update(row.hash);
      after = rows.at(-1)?.key;
      if (rows.length < PAGE_ROWS) break;
    }
  }
  return hash.digest('hex');
};

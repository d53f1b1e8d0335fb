/** Which rows of a live projection are not those that the log says, found in pages of short statements. */
import { rowsOf, type Projection, type ProjectionTable } from '../projection.js';
import { keyList, keyParameters, keyTexts } from '../table-sql.js';
import type { Tx } from '../transaction.js';
import { BUILDING_SCHEMA } from './building.js';

/** A row by its table and key. */
export interface RowKey {
  readonly table: string;
  /** In the order of the table's key. */
  readonly key: readonly string[];
}

export interface Difference {
  readonly table: string;
  /** The key, its parts joined by `/`; of a job's row the job's id. */
  readonly id: string;
  /** missing: only the log has it; extra: only the table has it. */
  readonly kind: 'missing' | 'extra' | 'differs';
  /** That differ; of a document its members too, as `doc.status`. */
  readonly fields: readonly string[];
}

/** Rows that one statement looks at. */
const PAGE_ROWS = 2_000;

type Query = Tx['query'];
type Row = Readonly<Record<string, unknown>>;

interface Pair {
  readonly key: readonly string[];
  readonly live: Row | null;
  readonly built: Row | null;
}

const schemaOf = { live: 'jobledger', built: BUILDING_SCHEMA } as const;

/** The key of the row that ends a page of both tables; undefined when both end before. */
const endOfPage = async (
  query: Query,
  table: ProjectionTable,
  after: readonly string[] | undefined,
): Promise<readonly string[] | undefined> => {
  const keys = keyList(table);
  const range = after === undefined ? '' : `where (${keys}) > (${keyParameters(table, 1)})`;
  const nth = (side: keyof typeof schemaOf) =>
    `(select ${keys} from (${rowsOf(table, schemaOf[side])}) r ${range} order by ${keys} limit 1 offset ${PAGE_ROWS - 1})`;
  const rows = await query<{ key: readonly string[] }>({
    text: `select ${keyTexts(table)} as key from (${nth('live')} union all ${nth('built')}) e order by ${keys} limit 1`,
    ...(after === undefined ? {} : { values: after }),
  });
  return rows[0]?.key;
};

const pairsWhere = (table: ProjectionTable, condition: string): string => {
  const keys = keyList(table);
  const side = (name: keyof typeof schemaOf) =>
    `(select * from (${rowsOf(table, schemaOf[name])}) r ${condition}) ${name}`;
  return `select ${keyTexts(table)} as key, to_jsonb(live) as live, to_jsonb(built) as built
    from ${side('live')} full join ${side('built')} using (${keys})
    where live.* is distinct from built.*`;
};

/** Keys of rows that differ at the moment, page by page. */
export const differingKeys = async function* (
  query: Query,
  table: ProjectionTable,
): AsyncGenerator<readonly RowKey[], void, undefined> {
  const keys = keyList(table);
  let after: readonly string[] | undefined;
  do {
    const end = await endOfPage(query, table, after);
    const size = Object.keys(table.key).length;
    const conditions = [
      ...(after === undefined ? [] : [`(${keys}) > (${keyParameters(table, 1)})`]),
      ...(end === undefined ? [] : [`(${keys}) <= (${keyParameters(table, after === undefined ? 1 : 1 + size)})`]),
    ];
    const pairs = await query<Pair>({
      text: pairsWhere(table, conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`),
      values: [...(after ?? []), ...(end ?? [])],
    });
    yield pairs.map(({ key }) => ({ table: table.name, key }));
    after = end;
  } while (after !== undefined);
};

const isObject = (value: unknown): value is Row => typeof value === 'object' && value !== null && !Array.isArray(value);

const differ = (a: unknown, b: unknown): boolean => JSON.stringify(a) !== JSON.stringify(b);

/** Both come from `jsonb`, whose members have one order. */
const differingFields = (live: Row, built: Row): readonly string[] =>
  Object.keys(built).flatMap((field) => {
    const [is, should] = [live[field], built[field]];
    if (!differ(is, should)) return [];
    if (!isObject(is) || !isObject(should)) return [field];
    const members = [...new Set([...Object.keys(is), ...Object.keys(should)])];
    return members.filter((member) => differ(is[member], should[member])).map((member) => `${field}.${member}`);
  });

const differenceOf = (table: ProjectionTable, { key, live, built }: Pair): Difference => ({
  table: table.name,
  id: key.join('/'),
  kind: live === null ? 'missing' : built === null ? 'extra' : 'differs',
  fields: live === null || built === null ? [] : differingFields(live, built),
});

/** How those of the rows differ that still do. */
export const differences = async (
  query: Query,
  { tables }: Projection,
  rows: readonly RowKey[],
): Promise<readonly Difference[]> => {
  const found: Difference[] = [];
  for (const table of tables) {
    const own = rows.filter((row) => row.table === table.name);
    if (own.length === 0) continue;
    const types = Object.values(table.key);
    const arrays = types.map((type, index) => `$${index + 1}::${type}[]`).join(', ');
    const pairs = await query<Pair>({
      text: pairsWhere(table, `where (${keyList(table)}) in (select * from unnest(${arrays}))`),
      values: types.map((_, index) => own.map(({ key }) => key[index])),
    });
    found.push(...pairs.map((pair) => differenceOf(table, pair)));
  }
  return found;
};

/** Calls of functions with rows of beside tables, all in one statement: together, or not at all. */
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import type { BesideTable } from '../beside-table.js';
import { Unavailable } from '../event-store.js';
import { type ArrayType, type ArrayValue, binaryArray } from '../postgres/binary-array.js';
import { compositeArray, type RowColumn } from '../postgres/composite-array.js';
import { asText, execute } from '../postgres/connection.js';
import type { HeldRow } from './beside-rows.js';

export interface CallRow {
  readonly row: HeldRow;
  readonly request: number;
  readonly event: number;
}

export interface Call {
  /** Schema-qualified. */
  readonly fn: string;
  /** First argument. */
  readonly first?: { readonly type: 'bigint' | 'timestamptz'; readonly value: string };
  readonly arrays: readonly { readonly type: ArrayType; readonly values: readonly ArrayValue[] }[];
  /** Last argument. */
  readonly rows?: { readonly table: BesideTable; readonly rows: readonly CallRow[] };
}

const QUALIFIED = /^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$/;
/** SQLSTATE `datatype_mismatch`: an oid is not that of the type; so it is after the database was restored from a dump. */
const OTHER_OIDS = '42804';
/** A statement whose events are in the log already is made again while the database is away, this often. */
const REPEATS = 5;
const REPEAT_AFTER_MS = 100;

const columnsOf = ({ columns }: BesideTable): readonly RowColumn<CallRow>[] => [
  { type: 'int4', value: ({ request }) => request },
  { type: 'int4', value: ({ event }) => event },
  ...columns.map(({ type }, column) => ({ type, value: ({ row }: CallRow) => row.values[column]! })),
];

export class RowStatements {
  readonly #pool: pg.Pool;
  readonly #types: readonly string[];
  #oids: Promise<ReadonlyMap<string, number>> | undefined;

  constructor(pool: pg.Pool, tables: readonly BesideTable[]) {
    const around = tables.filter((table) => table.around !== undefined);
    const names = around.flatMap(({ around: fns = {}, type }) => [fns.before, fns.after, fns.undo, type]);
    const unsafe = names.find((name) => name !== undefined && !QUALIFIED.test(name));
    if (unsafe !== undefined) throw new Error(`${unsafe} is no schema-qualified name`);
    this.#pool = pool;
    this.#types = around.map(({ type }) => type);
  }

  /** @param times `repeated`: made again when the database does not answer, for it must not be left undone */
  async run(doing: string, calls: readonly Call[], times: 'once' | 'repeated' = 'once'): Promise<void> {
    if (calls.length === 0) return;
    for (let repeat = 1; ; repeat += 1) {
      try {
        await execute(this.#pool, doing, await this.#statement(calls));
        return;
      } catch (error) {
        const isOther = error instanceof pg.DatabaseError && error.code === OTHER_OIDS;
        if (isOther) this.#oids = undefined;
        const isWorthIt = isOther ? repeat === 1 : times === 'repeated' && error instanceof Unavailable;
        if (!isWorthIt || repeat > REPEATS) throw error;
        if (!isOther) await pause(REPEAT_AFTER_MS * repeat);
      }
    }
  }

  async #statement(calls: readonly Call[]): Promise<pg.QueryArrayConfig> {
    const oids = await (this.#oids ??= this.#readOids());
    const values: unknown[] = [];
    const texts = calls.map(({ fn, first, arrays, rows }) => {
      const placed: string[] = [];
      const place = (type: string, value: unknown): void => {
        values.push(value);
        placed.push(`$${values.length}::${type}`);
      };
      if (first !== undefined) place(first.type, first.value);
      for (const array of arrays) place(`${array.type}[]`, binaryArray(array.type, array.values));
      if (rows !== undefined) {
        const { table } = rows;
        place(`${table.type}[]`, compositeArray(oids.get(table.type)!, columnsOf(table), rows.rows));
      }
      return `${fn}(${placed.join(', ')})`;
    });
    return { text: `select ${texts.join(', ')}`, values, rowMode: 'array', types: asText };
  }

  /** The oids of the composite types that rows are sent as. */
  #readOids(): Promise<ReadonlyMap<string, number>> {
    const oids = execute(this.#pool, 'reading the types of rows', {
      text: 'select t.name, t.name::regtype::oid from unnest($1::text[]) as t(name)',
      values: [this.#types],
      rowMode: 'array',
      types: asText,
    }).then((rows) => new Map(rows.map(([name, oid]) => [name!, Number(oid)])));
    oids.catch(() => (this.#oids = undefined));
    return oids;
  }
}

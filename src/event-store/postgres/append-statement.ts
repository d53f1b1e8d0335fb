/**
 * One call of `jobledger.append`, with the functions of the beside tables in the same statement: one round trip, one
 * commit, and the lock of the log never spans a trip to the client.
 */
import type pg from 'pg';
import type { BesideTable } from '../beside-table.js';
import { expectedBase } from '../append-plan.js';
import type { EncodedEvent, EncodedRequest } from '../encoded-request.js';
import { binaryArray } from './binary-array.js';
import { compositeArray, rowColumn, type RowColumn } from './composite-array.js';
import { asText } from './connection.js';

/** Codes of `r_expected`; a revision or -1 (no stream) stands for itself, null for `any`. */
const ANY_THAT_EXISTS = -2;
const NEVER = -3;

/**
 * What the request expects of its stream, as the revision before the first request of the call for the stream.
 * @param offset events of earlier requests of the call for the same stream
 */
const expectation = ({ expected }: EncodedRequest, offset: number): number | null => {
  if (expected === 'any') return null;
  if (expected === 'streamExists') return offset > 0 ? null : ANY_THAT_EXISTS;
  const revision = expectedBase(expected)! - offset;
  return revision < -1 ? NEVER : revision;
};

/** Events of earlier requests of the call for the same stream, per request. */
export const streamOffsets = (requests: readonly EncodedRequest[]): number[] => {
  const lengths = new Map<string, number>();
  return requests.map(({ stream, events }) => {
    const offset = lengths.get(stream) ?? 0;
    lengths.set(stream, offset + events.length);
    return offset;
  });
};

/** An event of the call, and the 1-based ordinal of its request. */
interface EventRow {
  readonly request: number;
  /** Added to the revision that the request's stream had before the call. */
  readonly step: number;
  readonly stream: string;
  readonly event: EncodedEvent;
}

const EVENT_TYPE = 'jobledger.new_event';

/** The columns of `jobledger.new_event`. */
const EVENT_COLUMNS: readonly RowColumn<EventRow>[] = [
  { type: 'int4', value: ({ request }) => request },
  { type: 'int4', value: ({ step }) => step },
  { type: 'text', value: ({ stream }) => stream },
  { type: 'uuid', value: ({ event }) => event.id },
  { type: 'text', value: ({ event }) => event.type },
  { type: 'int4', value: ({ event }) => event.version },
  { type: 'text', value: ({ event }) => event.data },
  { type: 'text', value: ({ event }) => event.metadata },
  { type: 'bytea', value: ({ event }) => event.contentHash },
];

const eventRows = (requests: readonly EncodedRequest[], offsets: readonly number[]): readonly EventRow[] =>
  requests.flatMap(({ stream, events }, index) =>
    events.map((event, place) => ({ request: index + 1, step: offsets[index]! + place + 1, stream, event })),
  );

/** A row of a beside table: ordinal of its request in the statement, 1-based offset of its event in the batch. */
interface BesideRow {
  readonly request: number;
  readonly event: number;
  readonly row: unknown;
}

const besideRows = (requests: readonly EncodedRequest[]): ReadonlyMap<string, readonly BesideRow[]> => {
  const tables = new Map<string, BesideRow[]>();
  let before = 0;
  requests.forEach(({ beside, events }, request) => {
    for (const { table, row, event = events.length - 1 } of beside) {
      let rows = tables.get(table.name);
      if (rows === undefined) tables.set(table.name, (rows = []));
      rows.push({ request, event: before + event + 1, row });
    }
    before += events.length;
  });
  return tables;
};

const besideColumns = ({ columns }: BesideTable): readonly RowColumn<BesideRow>[] => [
  { type: 'int4', value: ({ request }) => request },
  { type: 'int4', value: ({ event }) => event },
  ...columns.map(rowColumn).map(({ type, value }) => ({
    type,
    value: ({ row }: BesideRow, index: number) => value(row, index),
  })),
];

interface Table {
  readonly table: BesideTable;
  readonly columns: readonly RowColumn<BesideRow>[];
}

/** Whether a key may be taken: then the functions that say whose are called. */
export type Keys = 'new' | 'taken';

/**
 * The functions of the tables run in this order, so that their locks are always taken in the same one. How long they wait for
 * a lock is set when that of the log is held: other writers are waited for as long as a statement may take.
 */
const statementText = (tables: readonly Table[], keys: Keys): string => {
  const calls = tables.map(({ table: { fn, fnOfTaken = fn, type } }, index) => {
    const called = keys === 'new' ? fn : fnOfTaken;
    return `, case when r.accepted then ${called}(r.base, r.at, $${index + 6}::${type}[]) end`;
  });
  const log = `$1::text[], $2::int4[], $3::${EVENT_TYPE}[], $4`;
  const wait = `case when r.accepted then set_config('lock_timeout', $5, true) end`;
  return `select r.accepted, r.base, r.at, r.revisions, ${wait}${calls.join('')} from jobledger.append(${log}) r`;
};

/** Composes statements: one prepared text per combination of beside tables that have rows in a call. */
export class AppendStatements {
  readonly #tables: readonly Table[];
  readonly #texts = new Map<string, string>();

  /** @param tables every beside table, in the order in which their functions run */
  constructor(tables: readonly BesideTable[]) {
    for (const name of tables.flatMap(({ fn, fnOfTaken = fn, type }) => [fn, fnOfTaken, type])) {
      if (!/^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$/.test(name)) throw new Error(`${name} is no schema-qualified name`);
    }
    this.#tables = tables.map((table) => ({ table, columns: besideColumns(table) }));
  }

  /** The composite types whose oids `compose` needs. */
  get types(): readonly string[] {
    return [EVENT_TYPE, ...this.#tables.map(({ table }) => table.type)];
  }

  /**
   * @param oids of `types`, which differ from database to database
   * @param notify whether listeners are woken
   * @param keys whether a call before this one met a key that is taken
   * @param rowWaitMs longest wait for a row beside the log; 0: as long as a statement may take
   * @throws Error when a row belongs to a table that was not given to the constructor
   */
  compose(
    requests: readonly EncodedRequest[],
    offsets: readonly number[],
    oids: ReadonlyMap<string, number>,
    notify: boolean,
    keys: Keys,
    rowWaitMs: number,
  ): pg.QueryArrayConfig {
    const rows = besideRows(requests);
    const present = this.#tables.filter(({ table }) => rows.has(table.name));
    if (present.length < rows.size) throw new Error(`unknown beside table among ${[...rows.keys()].join(', ')}`);
    const name = ['append', keys, ...present.map((table) => this.#tables.indexOf(table))].join('_');
    let text = this.#texts.get(name);
    if (text === undefined) this.#texts.set(name, (text = statementText(present, keys)));
    const values = [
      binaryArray(
        'text',
        requests.map(({ stream }) => stream),
      ),
      binaryArray(
        'int4',
        requests.map((request, index) => expectation(request, offsets[index]!)),
      ),
      compositeArray(oids.get(EVENT_TYPE)!, EVENT_COLUMNS, eventRows(requests, offsets)),
      notify,
      String(rowWaitMs),
      ...present.map(({ table, columns }) => compositeArray(oids.get(table.type)!, columns, rows.get(table.name)!)),
    ];
    return { name, text, values, rowMode: 'array', types: asText };
  }
}

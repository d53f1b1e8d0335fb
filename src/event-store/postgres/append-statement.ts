/**
 * One call of `jobledger.append`, with the functions of the beside tables in the same statement: one round trip, one
 * commit, and the lock of the log never spans a trip to the client.
 */
import type pg from 'pg';
import type { BesideTable } from '../event-store.js';
import { expectedBase } from '../append-plan.js';
import type { EncodedRequest } from '../encoded-request.js';
import { binaryArray } from './binary-array.js';
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

interface EventColumns {
  readonly request: number[];
  readonly step: number[];
  readonly stream: string[];
  readonly id: string[];
  readonly type: string[];
  readonly version: number[];
  readonly data: string[];
  readonly metadata: string[];
  readonly content: Buffer[];
}

const noEvents = (): EventColumns => ({
  request: [],
  step: [],
  stream: [],
  id: [],
  type: [],
  version: [],
  data: [],
  metadata: [],
  content: [],
});

/** Events of earlier requests of the call for the same stream, per request. */
export const streamOffsets = (requests: readonly EncodedRequest[]): number[] => {
  const lengths = new Map<string, number>();
  return requests.map(({ stream, events }) => {
    const offset = lengths.get(stream) ?? 0;
    lengths.set(stream, offset + events.length);
    return offset;
  });
};

const logValues = (requests: readonly EncodedRequest[], offsets: readonly number[]): Buffer[] => {
  const columns = noEvents();
  requests.forEach(({ stream, events }, index) => {
    events.forEach((event, position) => {
      columns.request.push(index + 1);
      columns.step.push(offsets[index]! + position + 1);
      columns.stream.push(stream);
      columns.id.push(event.id);
      columns.type.push(event.type);
      columns.version.push(event.version);
      columns.data.push(event.data);
      columns.metadata.push(event.metadata);
      columns.content.push(event.contentHash);
    });
  });
  const expected = requests.map((request, index) => expectation(request, offsets[index]!));
  return [
    binaryArray(
      'text',
      requests.map(({ stream }) => stream),
    ),
    binaryArray('int4', expected),
    binaryArray('int4', columns.request),
    binaryArray('int4', columns.step),
    binaryArray('text', columns.stream),
    binaryArray('uuid', columns.id),
    binaryArray('text', columns.type),
    binaryArray('int4', columns.version),
    binaryArray('text', columns.data),
    binaryArray('text', columns.metadata),
    binaryArray('bytea', columns.content),
  ];
};

const LOG_TYPES = ['text', 'int4', 'int4', 'int4', 'text', 'uuid', 'text', 'int4', 'text', 'text', 'bytea'];

/** Rows of one beside table: ordinal of the request in the statement, 1-based offset of the event, the row. */
interface BesideRows {
  readonly request: number[];
  readonly event: number[];
  readonly rows: unknown[];
}

const besideRows = (requests: readonly EncodedRequest[]): ReadonlyMap<string, BesideRows> => {
  const tables = new Map<string, BesideRows>();
  let before = 0;
  requests.forEach(({ beside, events }, ordinal) => {
    for (const { table, row, event = events.length - 1 } of beside) {
      let rows = tables.get(table.name);
      if (rows === undefined) tables.set(table.name, (rows = { request: [], event: [], rows: [] }));
      rows.request.push(ordinal);
      rows.event.push(before + event + 1);
      rows.rows.push(row);
    }
    before += events.length;
  });
  return tables;
};

const besideValues = (table: BesideTable, { request, event, rows }: BesideRows): Buffer[] => [
  binaryArray('int4', request),
  binaryArray('int4', event),
  ...table.columns.map(({ type, value }) => binaryArray(type, rows.map(value))),
];

/** The functions of the tables run in this order, so that their locks are always taken in the same one. */
const statementText = (tables: readonly BesideTable[]): string => {
  let parameters = 0;
  const placeholders = (types: readonly string[]) => types.map((type) => `$${++parameters}::${type}[]`).join(', ');
  const log = placeholders(LOG_TYPES);
  const calls = tables.map(({ fn, columns }) => {
    const values = placeholders(['int4', 'int4', ...columns.map(({ type }) => type)]);
    return `, case when r.accepted then ${fn}(r.base, r.at, ${values}) end`;
  });
  return `select r.accepted, r.base, r.at, r.revisions${calls.join('')} from jobledger.append(${log}) r`;
};

/** Composes statements: one prepared text per combination of beside tables that have rows in a call. */
export class AppendStatements {
  readonly #tables: readonly BesideTable[];
  readonly #texts = new Map<string, string>();

  /** @param tables every beside table, in the order in which their functions run */
  constructor(tables: readonly BesideTable[]) {
    const unsafe = tables.find(({ fn }) => !/^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$/.test(fn));
    if (unsafe !== undefined) throw new Error(`${unsafe.fn} is no schema-qualified function`);
    this.#tables = tables;
  }

  /** @throws Error when a row belongs to a table that was not given to the constructor */
  compose(requests: readonly EncodedRequest[], offsets: readonly number[]): pg.QueryArrayConfig {
    const rows = besideRows(requests);
    const present = this.#tables.filter(({ name }) => rows.has(name));
    if (present.length < rows.size) throw new Error(`unknown beside table among ${[...rows.keys()].join(', ')}`);
    const name = ['append', ...present.map((table) => this.#tables.indexOf(table))].join('_');
    let text = this.#texts.get(name);
    if (text === undefined) this.#texts.set(name, (text = statementText(present)));
    const values = [
      ...logValues(requests, offsets),
      ...present.flatMap((table) => besideValues(table, rows.get(table.name)!)),
    ];
    return { name, text, values, rowMode: 'array', types: asText };
  }
}

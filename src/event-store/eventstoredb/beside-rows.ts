/**
 * Rows beside the events of a log that is not in their database: what is taken before the append, and what is written
 * or given back after it. One statement each, for all units of a call.
 */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { EncodedRequest } from '../encoded-request.js';
import type { Appended, AroundAppend, BesideColumn, BesideTable } from '../event-store.js';
import { Unsupported } from '../event-store.js';
import type { Unit } from '../append-plan.js';
import { binaryArray } from '../postgres/binary-array.js';
import { asText, execute } from '../postgres/connection.js';
import { refusedRequests } from '../postgres/appender.js';
import { writeIntent } from './intent-body.js';

export type ColumnValue = ReturnType<BesideColumn<unknown>['value']>;

export interface HeldRow {
  readonly table: BesideTable;
  readonly values: readonly ColumnValue[];
  /** Index of the event in its request that the row belongs to. */
  readonly event: number;
}

export interface HeldRequest {
  readonly request: EncodedRequest;
  readonly rows: readonly HeldRow[];
}

/** What recovery would find. Its owner settles it: who took it over, once somebody did. */
export interface Intent {
  readonly id: string;
  readonly owner: string;
}

/** Requests that are appended all or none, or a single one. */
export interface HeldUnit {
  /** Undefined when nothing needs one. */
  readonly intent: Intent | undefined;
  readonly requests: readonly HeldRequest[];
}

export interface EndedUnit {
  readonly intent: Intent | undefined;
  readonly requests: readonly {
    readonly rows: readonly HeldRow[];
    /** Undefined: it is not in the log and never will be, or it was there before. */
    readonly appended: Appended | undefined;
  }[];
}

export interface Refusal {
  readonly table: string;
  /** Ordinals of requests in the caller's call. */
  readonly requests: ReadonlySet<number>;
}

/** SQLSTATE by which a beside table refuses rows. */
const BESIDE_REFUSED = 'JL001';
/** SQLSTATE by which intents say that others have taken them. */
const TAKEN_OVER = 'JL002';
const QUALIFIED = /^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$/;

interface Call {
  readonly fn: string;
  readonly types: readonly Parameters<typeof binaryArray>[0][];
  readonly values: readonly (readonly ColumnValue[])[];
}

export class BesideRows {
  readonly #pool: pg.Pool;
  readonly #tables: readonly BesideTable[];

  /** @param tables every beside table, in the order in which their functions run */
  constructor(pool: pg.Pool, tables: readonly BesideTable[]) {
    const unsafe = tables
      .flatMap(({ around = {} }) => Object.values(around as Record<string, string>))
      .find((fn) => !QUALIFIED.test(fn));
    if (unsafe !== undefined) throw new Error(`${unsafe} is no schema-qualified function`);
    this.#pool = pool;
    this.#tables = tables;
  }

  /** @throws Unsupported when a row belongs to a table that cannot be written around an append */
  hold(unit: Unit): HeldUnit {
    const requests = unit.map((request) => ({
      request,
      rows: request.beside.map((row) => this.#heldRow(row, request)),
    }));
    const takes = requests.some(({ rows }) => rows.some(({ table }) => table.around?.before !== undefined));
    const intent = takes || unit.length > 1 ? { id: randomUUID(), owner: randomUUID() } : undefined;
    return { intent, requests };
  }

  table(name: string): BesideTable {
    const table = this.#tables.find((known) => known.name === name);
    if (table?.around === undefined) throw new Unsupported(`rows of ${name} cannot be written beside this log`);
    return table;
  }

  /** Takes what the units need and records them, all or nothing. @returns who was refused; undefined: nobody */
  async begin(units: readonly HeldUnit[]): Promise<Refusal | undefined> {
    const flat = units.flatMap(({ requests }) => requests);
    const rows = flat.flatMap((held, index) => held.rows.map((row) => ({ row, index })));
    const recorded = units.filter(({ intent }) => intent !== undefined);
    const calls: Call[] = [];
    if (recorded.length > 0) {
      const values = [...intentColumns(recorded), recorded.map(writeIntent)];
      calls.push({ fn: 'jobledger.intents_open', types: ['uuid', 'uuid', 'text'], values });
    }
    for (const table of this.#having(rows, 'before')) {
      const own = rows.filter(({ row }) => row.table === table);
      const request = own.map(({ index }) => index);
      calls.push(
        callOf(
          table,
          'before',
          ['int4'],
          [request],
          own.map(({ row }) => row),
        ),
      );
    }
    try {
      await this.#run('taking what an append needs', calls);
      return undefined;
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.code !== BESIDE_REFUSED) throw error;
      const refused = refusedRequests(error, flat.length).map((index) => flat[index]!.request.ordinal);
      return { table: error.message, requests: new Set(refused) };
    }
  }

  /**
   * Writes what belongs to events that are in the log, gives back the rest, and forgets the intents. Units that others
   * took over are left to them.
   */
  async end(units: readonly EndedUnit[]): Promise<void> {
    for (let own = units; ;) {
      try {
        await this.#run('writing what an append left', this.#endingOf(own));
        return;
      } catch (error) {
        if (!(error instanceof pg.DatabaseError) || error.code !== TAKEN_OVER) throw error;
        const recorded = own.filter(({ intent }) => intent !== undefined);
        const lost = new Set(refusedRequests(error, recorded.length).map((index) => recorded[index]!));
        own = own.filter((unit) => !lost.has(unit));
      }
    }
  }

  #endingOf(units: readonly EndedUnit[]): readonly Call[] {
    const recorded = units.filter(({ intent }) => intent !== undefined);
    const rows = units.flatMap(({ requests }) =>
      requests.flatMap((request) => request.rows.map((row) => ({ row, appended: request.appended }))),
    );
    const written = rows.filter((row): row is { row: HeldRow; appended: Appended } => row.appended !== undefined);
    const given = rows.filter(({ appended }) => appended === undefined);
    const calls: Call[] = [];
    // First: it says whose the rest is.
    if (recorded.length > 0) {
      calls.push({ fn: 'jobledger.intents_close', types: ['uuid', 'uuid'], values: intentColumns(recorded) });
    }
    for (const table of this.#having(written, 'after')) {
      const own = written.filter(({ row }) => row.table === table);
      const places = [
        own.map(({ row, appended }) => appended.positions[row.event]!),
        own.map(({ row, appended }) => appended.revision - appended.positions.length + 1 + row.event),
        own.map(({ appended }) => Date.parse(appended.at)),
      ];
      calls.push(
        callOf(
          table,
          'after',
          ['int8', 'int4', 'timestamptz'],
          places,
          own.map(({ row }) => row),
        ),
      );
    }
    for (const table of this.#having(given, 'undo')) {
      const own = given.flatMap(({ row }) => (row.table === table ? [row] : []));
      calls.push(callOf(table, 'undo', [], [], own));
    }
    return calls;
  }

  #heldRow({ table: { name }, row, event }: EncodedRequest['beside'][number], { events }: EncodedRequest): HeldRow {
    const table = this.table(name);
    return { table, values: table.columns.map(({ value }) => value(row)), event: event ?? events.length - 1 };
  }

  /** Tables with rows and such a function, in their order. */
  #having(rows: readonly { readonly row: HeldRow }[], step: keyof AroundAppend): readonly BesideTable[] {
    return this.#tables.filter(
      (table) => table.around?.[step] !== undefined && rows.some(({ row }) => row.table === table),
    );
  }

  async #run(doing: string, calls: readonly Call[]): Promise<void> {
    if (calls.length === 0) return;
    let parameters = 0;
    const texts = calls.map(
      ({ fn, types }) => `${fn}(${types.map((type) => `$${++parameters}::${type}[]`).join(', ')})`,
    );
    const values = calls.flatMap(({ types, values: columns }) =>
      types.map((type, index) => binaryArray(type, columns[index]!)),
    );
    // One prepared text per combination of tables.
    const name = `beside ${calls.map(({ fn }) => fn.replace('jobledger.', '')).join(' ')}`;
    await execute(this.#pool, doing, {
      ...{ text: `select ${texts.join(', ')}`, values, rowMode: 'array', types: asText },
      // A longer name would be cut, and two texts would share it.
      ...(name.length < 64 ? { name } : {}),
    });
  }
}

const intentColumns = (units: readonly { readonly intent: Intent | undefined }[]): readonly string[][] => [
  units.map(({ intent }) => intent!.id),
  units.map(({ intent }) => intent!.owner),
];

const callOf = (
  table: BesideTable,
  step: keyof AroundAppend,
  types: Call['types'],
  values: Call['values'],
  rows: readonly HeldRow[],
): Call => ({
  fn: table.around![step]!,
  types: [...types, ...table.columns.map(({ type }) => type)],
  values: [...values, ...table.columns.map((_, column) => rows.map((row) => row.values[column]!))],
});

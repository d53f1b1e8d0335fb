/**
 * Rows beside the events of a log that is not in their database: what is taken before the append, and what is written
 * or given back after it. One statement each, for all units of a call.
 */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { EncodedRequest } from '../encoded-request.js';
import type { BesideColumn, BesideTable } from '../beside-table.js';
import type { AppendResult } from '../event-store.js';
import { Unsupported } from '../event-store.js';
import type { Unit } from '../append-plan.js';
import { refusedRequests } from '../postgres/appender.js';
import type { Ended, EndedUnit } from './ended-units.js';
import { appendedRows, givenRows, type PlacedRow, withoutEvents } from './ended-units.js';
import type { Beside } from './heard-log.js';
import { writeIntent } from './intent-body.js';
import { type Call, RowStatements } from './row-statements.js';

export type ColumnValue = ReturnType<BesideColumn<unknown>['value']>;

export interface HeldRow {
  readonly table: BesideTable;
  readonly values: readonly ColumnValue[];
  /** Index of the event in its request that the row belongs to. */
  readonly event: number;
  /** The stream that moves it besides its own. */
  readonly watched: string | undefined;
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

export interface Refusal {
  readonly table: string;
  /** Ordinals of requests in the caller's call. */
  readonly requests: ReadonlySet<number>;
}

/** What became of units whose fate is known. */
export interface Ending {
  /** Who was refused though the events are in the log. */
  readonly refusals: readonly Refusal[];
  /** Others settled them: who is in the log may be there by their hand. */
  readonly takenOver: readonly EndedUnit[];
}

/** SQLSTATE by which a beside table refuses rows. */
const BESIDE_REFUSED = 'JL001';
/** SQLSTATE by which intents say that others have taken them. */
const TAKEN_OVER = 'JL002';
/** SQLSTATE by which rows say that they are not at the events that those of a call follow. */
const BEHIND = 'JL003';
/** SQLSTATE by which a beside table refuses events that are in the log. */
const REFUSED_LATE = 'JL004';
/** Rows that are behind after so many times that they were brought to the end of the log are a defect, not a race. */
const MAX_BEHIND = 20;

/** What rows need to know of the log. */
export interface RowLog {
  /** Last revision of a stream once what it is asked about beside was in the log, -1 without events. */
  readonly lastRevision: (stream: string, beside: Beside) => Promise<number>;
  /** Brings the rows of streams to the end of the log. */
  readonly catchUp: (streams: readonly string[]) => Promise<void>;
}

export class BesideRows {
  readonly #statements: RowStatements;
  readonly #tables: readonly BesideTable[];
  readonly #log: RowLog;

  /** @param tables every beside table, in the order in which their functions run */
  constructor(pool: pg.Pool, tables: readonly BesideTable[], log: RowLog) {
    this.#statements = new RowStatements(pool, tables);
    this.#tables = tables;
    this.#log = log;
  }

  /** @throws Unsupported when a row belongs to a table that cannot be written around an append */
  hold(unit: Unit): HeldUnit {
    const requests = unit.map((request) => ({
      request,
      rows: request.beside.map(({ table: { name }, row, event = request.events.length - 1 }): HeldRow => {
        const table = this.table(name);
        const watched = table.around?.watches?.(row);
        return { table, values: table.columns.map(({ value }) => value(row)), event, watched };
      }),
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

  /**
   * Takes what the units need and records them, all or nothing.
   * @param at of the events to come, epoch ms
   * @returns who was refused; undefined: nobody
   */
  async begin(units: readonly HeldUnit[], at: number): Promise<Refusal | undefined> {
    const flat = units.flatMap(({ requests }) => requests);
    const rows = flat.flatMap((held, request) => held.rows.map((row) => ({ row, request, event: 0 })));
    const recorded = units.filter(({ intent }) => intent !== undefined);
    const calls: Call[] = [];
    if (recorded.length > 0) {
      const bodies = { type: 'text', values: recorded.map(writeIntent) } as const;
      calls.push({ fn: 'jobledger.intents_open', arrays: [...intentColumns(recorded), bodies] });
    }
    for (const table of this.#having(rows, 'before')) {
      const own = rows.filter(({ row }) => row.table === table);
      const first = { type: 'timestamptz', value: new Date(at).toISOString() } as const;
      calls.push({ fn: table.around!.before!, first, arrays: [], rows: { table, rows: own } });
    }
    try {
      await this.#statements.run('taking what an append needs', calls);
      return undefined;
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.code !== BESIDE_REFUSED) throw error;
      const refused = refusedRequests(error, flat.length).map((index) => flat[index]!.request.ordinal);
      return { table: error.message, requests: new Set(refused) };
    }
  }

  /**
   * Writes what belongs to events that are in the log, gives back the rest, and forgets the intents. Units that others
   * took over are left to them, but for rows that follow streams: they may refuse what came too late.
   */
  async end(units: readonly EndedUnit[]): Promise<Ending> {
    const refusals: Refusal[] = [];
    const takenOver: EndedUnit[] = [];
    let own = units;
    for (let behind = 0; ;) {
      try {
        await this.#statements.run('writing what an append left', await this.#endingOf(own), 'repeated');
        return { refusals, takenOver };
      } catch (error) {
        if (!(error instanceof pg.DatabaseError)) throw error;
        const detail = (): readonly string[] => JSON.parse(error.detail ?? '[]') as readonly string[];
        if (error.code === TAKEN_OVER) {
          const recorded = own.filter(({ intent }) => intent !== undefined);
          const lost = new Set(refusedRequests(error, recorded.length).map((index) => recorded[index]!));
          takenOver.push(...lost);
          own = own.map((unit) => (lost.has(unit) ? followersOf(unit) : unit));
          await this.#log.catchUp([...lost].flatMap(streamsOf));
        } else if (error.code === BEHIND && (behind += 1) <= MAX_BEHIND) {
          await this.#log.catchUp(detail());
        } else if (error.code === REFUSED_LATE) {
          const { units: left, refused } = withoutEvents(own, new Set(detail()));
          if (refused.length === 0) throw error;
          own = left;
          refusals.push({ table: error.message, requests: new Set(refused.map(({ ordinal }) => ordinal)) });
          await this.#log.catchUp(refused.map(({ stream }) => stream));
        } else throw error;
      }
    }
  }

  async #endingOf(units: readonly EndedUnit[]): Promise<readonly Call[]> {
    const recorded = units.filter(({ intent }) => intent !== undefined);
    const written = units.flatMap(appendedRows);
    const given = units.flatMap(givenRows);
    const watched = await this.#watchedBy(written);
    // First: it says whose the rest is.
    const calls: Call[] =
      recorded.length > 0 ? [{ fn: 'jobledger.intents_close', arrays: intentColumns(recorded) }] : [];
    for (const table of this.#having(written, 'after')) {
      const own = written.filter(({ row }) => row.table === table);
      const base = own.reduce((least, { position }) => (position < least ? position : least), own[0]!.position) - 1n;
      calls.push({
        fn: table.around!.after!,
        first: { type: 'bigint', value: String(base) },
        arrays: [
          { type: 'timestamptz', values: own.map(({ at }) => at) },
          { type: 'int4', values: own.map(({ revision }) => revision) },
          { type: 'int4', values: own.map(({ length }) => length) },
          { type: 'text', values: own.map(({ parts }) => parts) },
          ...(table.around!.watches === undefined
            ? []
            : [{ type: 'int8', values: own.map(({ row }) => watched.get(row.watched ?? '') ?? null) } as const]),
        ],
        rows: { table, rows: own.map(({ row, position }) => ({ row, request: 0, event: Number(position - base) })) },
      });
    }
    for (const table of this.#having(given, 'undo')) {
      const own = given.flatMap(({ row }) => (row.table === table ? [{ row, request: 0, event: 0 }] : []));
      calls.push({ fn: table.around!.undo!, arrays: [], rows: { table, rows: own } });
    }
    return calls;
  }

  /** Last revisions of the streams that move rows besides their own. */
  async #watchedBy(rows: readonly PlacedRow[]): Promise<ReadonlyMap<string, number>> {
    const asked = new Map<string, Beside>();
    for (const { row, stream, position } of rows) {
      const before = row.watched === undefined ? undefined : (asked.get(row.watched)?.position ?? -1n);
      if (before !== undefined && position > before) asked.set(row.watched!, { stream, position });
    }
    const ends = [...asked].map(
      async ([watched, beside]) => [watched, await this.#log.lastRevision(watched, beside)] as const,
    );
    return new Map(await Promise.all(ends));
  }

  /** Tables with rows and such a function, in their order. */
  #having(rows: readonly { readonly row: HeldRow }[], step: 'before' | 'after' | 'undo'): readonly BesideTable[] {
    return this.#tables.filter(
      (table) => table.around?.[step] !== undefined && rows.some(({ row }) => row.table === table),
    );
  }
}

/** A unit whose requests have results. */
export const ended = (
  { intent, requests }: HeldUnit,
  appendedOf: (ordinal: number) => Ended['appended'],
): EndedUnit => ({
  intent,
  requests: requests.map(({ request, rows }) => ({ request, rows, appended: appendedOf(request.ordinal) })),
});

/** Of a unit that another settles: the rows that are what the log says, whoever writes them. */
const followersOf = ({ requests }: EndedUnit): EndedUnit => ({
  intent: undefined,
  requests: requests.map((request) => ({
    ...request,
    rows: request.rows.filter(({ table }) => table.around?.watches !== undefined),
  })),
});

const streamsOf = ({ requests }: EndedUnit): readonly string[] => requests.map(({ request }) => request.stream);

/** What stood in the log before is not written again, rows included. */
export const writtenNow = (result: AppendResult): Ended['appended'] =>
  result.ok && !result.replayed ? result : undefined;

const intentColumns = (units: readonly { readonly intent: Intent | undefined }[]): Call['arrays'] => [
  { type: 'uuid', values: units.map(({ intent }) => intent!.id) },
  { type: 'uuid', values: units.map(({ intent }) => intent!.owner) },
];

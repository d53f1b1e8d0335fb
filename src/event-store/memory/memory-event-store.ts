/**
 * The log in memory: for unit tests and the simulator. Everything happens synchronously inside the call, without
 * timers, and time comes from an injected clock, so a run can be repeated exactly.
 */
import type {
  AppendRequest,
  AppendResult,
  CaughtUp,
  EventStore,
  Head,
  JsonObject,
  Page,
  Position,
  ReadAllOptions,
  ReadStreamOptions,
  RecordedEvent,
  SubscribeOptions,
} from '../event-store.js';
import { START } from '../event-store.js';
import type { Unit } from '../append-plan.js';
import { expectedBase, NO_STREAM, Outcomes, plan, settleMissed, unitsOf, withoutRefused } from '../append-plan.js';
import type { EncodedRequest } from '../encoded-request.js';
import { eventTest } from '../event-filter.js';
import { batchHash, eventLeaf, GENESIS } from '../hash-chain.js';
import type { TailPage } from '../subscription.js';
import { tail } from '../subscription.js';

export interface BesideEntry<Row = unknown> {
  /** Ordinal of the row's request in the caller's call. */
  readonly request: number;
  /** Position of the event that the row belongs to. */
  readonly position: Position;
  readonly row: Row;
}

export interface BesideContext {
  /** Position before the first event of the batch. */
  readonly base: Position;
  /** Recorded time of the batch, epoch milliseconds. */
  readonly at: number;
}

/** Requests that are refused under another name than the table's, as a function in SQL may. */
export interface NamedRefusal {
  readonly as: string;
  readonly requests: readonly number[];
}

/** Stands for a beside table. */
export interface BesideApplier<Row = unknown> {
  /** Ordinals of the requests that are refused. Called again without them, until there are none. Changes nothing. */
  check?(rows: readonly BesideEntry<Row>[], context: BesideContext): readonly number[] | NamedRefusal;
  apply(rows: readonly BesideEntry<Row>[], context: BesideContext): void;
}

export interface MemoryEventStoreOptions {
  /** Epoch milliseconds. */
  readonly clock: () => number;
  /** By name of the beside table. A row of a table that is not here is an error. */
  readonly beside?: ReadonlyMap<string, BesideApplier>;
}

const frozen = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(frozen);
  return value;
};

const parsed = (json: string): JsonObject => frozen(JSON.parse(json) as JsonObject);

export class MemoryEventStore implements EventStore {
  readonly #events: RecordedEvent[] = [];
  readonly #streams = new Map<string, RecordedEvent[]>();
  readonly #batches: { last: number; at: number; hash: Buffer }[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #clock: () => number;
  readonly #appliers: ReadonlyMap<string, BesideApplier>;
  readonly #order: readonly string[];

  constructor({ clock, beside = new Map() }: MemoryEventStoreOptions) {
    this.#clock = clock;
    this.#appliers = beside;
    this.#order = [...beside.keys()];
  }

  append(requests: readonly AppendRequest[]): Promise<readonly AppendResult[]> {
    return new Promise((resolve) => resolve(this.#append(requests)));
  }

  readStream(stream: string, options: ReadStreamOptions = {}): Promise<readonly RecordedEvent[]> {
    const { from, limit, direction = 'forwards', upTo } = options;
    const past = upTo === undefined ? Infinity : Number(upTo);
    const events = (this.#streams.get(stream) ?? []).filter(({ position }) => Number(position) <= past);
    const chosen =
      direction === 'forwards'
        ? events.slice(from ?? 0)
        : events.slice(0, from === undefined ? undefined : from + 1).reverse();
    return Promise.resolve(chosen.slice(0, limit));
  }

  readAll(options: ReadAllOptions): Promise<Page> {
    return Promise.resolve(this.#page(options));
  }

  subscribe(options: SubscribeOptions): AsyncIterable<readonly RecordedEvent[] | CaughtUp> {
    const { filter } = options;
    const read = (after: Position, limit: number) =>
      Promise.resolve(this.#page({ after, limit, ...(filter && { filter }) }));
    return tail({ read, onAppended: (listener) => this.onAppended(listener) }, options);
  }

  head(): Promise<Head> {
    const last = this.#batches.at(-1);
    const hash = (last?.hash ?? GENESIS).toString('hex');
    const at = last === undefined ? null : new Date(last.at).toISOString();
    return Promise.resolve({ position: String(this.#events.length), hash, at });
  }

  hashAt(position: Position): Promise<string | null> {
    if (position === START) return Promise.resolve(GENESIS.toString('hex'));
    const batch = this.#batches.find(({ last }) => last >= Number(position));
    return Promise.resolve(batch?.hash.toString('hex') ?? null);
  }

  onAppended(listener: () => void): () => void {
    // Wrapped, so that the same function may listen twice.
    const entry = () => listener();
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  close(): Promise<void> {
    this.#listeners.clear();
    return Promise.resolve();
  }

  #append(requests: readonly AppendRequest[]): AppendResult[] {
    const outcomes = new Outcomes(requests.length);
    let waiting: readonly Unit[] = unitsOf(requests, outcomes);
    // What was put off is planned once the others are settled, as in PostgreSQL: what is written together decides whose
    // row beside the events comes first.
    let later: readonly Unit[] = [];
    while (waiting.length > 0) {
      const { ready, missed, deferred } = plan(waiting, (stream) => this.#revisionOf(stream));
      if (missed.length === 0 && deferred.length === 0) {
        waiting = this.#write(ready, outcomes);
      } else {
        const rest = settleMissed(missed, (request) => this.#replayOf(request), outcomes);
        waiting = [...ready, ...rest];
        later = [...deferred, ...later];
      }
      if (waiting.length === 0) [waiting, later] = [later, []];
    }
    this.#listeners.forEach((listener) => listener());
    return outcomes.all();
  }

  /** Writes all, or refuses some. Returns what must be planned again. */
  #write(units: readonly Unit[], outcomes: Outcomes): readonly Unit[] {
    if (units.length === 0) return [];
    const base = this.#events.length;
    const at = Math.max(Math.trunc(this.#clock()), this.#batches.at(-1)?.at ?? -Infinity);
    const context = { base: String(base), at };
    // In the order in which the tables were given, whichever request comes first: as an append of the database.
    const rows = [...besideRows(units.flat(), base)].sort(
      ([a], [b]) => this.#order.indexOf(a) - this.#order.indexOf(b),
    );
    for (const [table, entries] of rows) {
      const checked = this.#applier(table).check?.(entries, context) ?? [];
      const { as, requests } = 'as' in checked ? checked : { as: table, requests: checked };
      if (requests.length > 0) return withoutRefused(units, new Set(requests), as, outcomes);
    }
    for (const [table, entries] of rows) this.#applier(table).apply(entries, context);
    const leaves = units.flat().flatMap((request) => this.#record(request, at, outcomes));
    const hash = batchHash({
      previous: this.#batches.at(-1)?.hash ?? GENESIS,
      batch: BigInt(this.#batches.length + 1),
      at,
      first: BigInt(base + 1),
      leaves,
    });
    this.#batches.push({ last: this.#events.length, at, hash });
    return [];
  }

  #record({ ordinal, stream, events }: EncodedRequest, at: number, outcomes: Outcomes): readonly Buffer[] {
    const history = this.#streams.get(stream) ?? [];
    this.#streams.set(stream, history);
    const recorded = events.map(({ id, type, version, data, metadata }): RecordedEvent => {
      const place = { position: String(this.#events.length + 1), stream, revision: history.length };
      const content = { id, type, version, data: parsed(data), metadata: parsed(metadata) };
      const event = Object.freeze({ ...place, at: new Date(at).toISOString(), ...content });
      this.#events.push(event);
      history.push(event);
      return event;
    });
    outcomes.settle(ordinal, appended(recorded, false));
    return events.map((event, index) => {
      const { position, revision } = recorded[index]!;
      return eventLeaf(BigInt(position), revision, event.contentHash);
    });
  }

  #replayOf({ stream, expected, events }: EncodedRequest): AppendResult | undefined {
    const base = expectedBase(expected);
    if (base === undefined) return undefined;
    const there = this.#streams.get(stream)?.slice(base + 1, base + 1 + events.length) ?? [];
    return events.every(({ id }, index) => there[index]?.id === id) ? appended(there, true) : undefined;
  }

  #revisionOf(stream: string): number {
    return this.#streams.get(stream)?.at(-1)?.revision ?? NO_STREAM;
  }

  #applier(table: string): BesideApplier {
    const applier = this.#appliers.get(table);
    if (applier === undefined) throw new Error(`no applier for beside table ${table}`);
    return applier;
  }

  #page({ after, limit, filter, direction = 'forwards' }: ReadAllOptions): TailPage {
    const forwards = direction === 'forwards';
    const step = forwards ? 1 : -1;
    const test = eventTest(filter);
    const events: RecordedEvent[] = [];
    let next = after === undefined ? (forwards ? 0 : this.#events.length + 1) : Number(after);
    const end = forwards ? this.#events.length : Math.min(1, next);
    while (next * step < end * step && events.length < limit) {
      next += step;
      const event = this.#events[next - 1]!;
      if (test(event)) events.push(event);
    }
    return { events, next: String(next), atEnd: next * step >= end * step };
  }
}

const appended = (events: readonly RecordedEvent[], replayed: boolean): AppendResult => {
  const last = events.at(-1)!;
  const positions = events.map(({ position }) => position);
  return {
    ok: true,
    first: positions[0]!,
    last: last.position,
    positions,
    revision: last.revision,
    at: last.at,
    replayed,
  };
};

const besideRows = (requests: readonly EncodedRequest[], base: number): ReadonlyMap<string, BesideEntry[]> => {
  const tables = new Map<string, BesideEntry[]>();
  let before = base;
  for (const { ordinal, beside, events } of requests) {
    for (const { table, row, event = events.length - 1 } of beside) {
      const entries = tables.get(table.name) ?? [];
      entries.push({ request: ordinal, position: String(before + event + 1), row });
      tables.set(table.name, entries);
    }
    before += events.length;
  }
  return tables;
};

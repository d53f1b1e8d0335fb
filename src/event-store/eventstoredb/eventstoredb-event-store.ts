/**
 * The log in EventStoreDB or KurrentDB. Rows beside the events stay in PostgreSQL: what has to be taken first is taken
 * before the append, and what the events say is written after it; `intents` holds what lies between.
 *
 * Where a process can die, and what is left for recovery:
 *   before the intent is recorded: nothing was taken, nothing is written.
 *   between intent and append: the intent. Its events are appended at the revisions that it names, or never can be.
 *   between append and rows: the intent, and for a unit that needs none the events alone, whose rows a reader of the
 *     log makes up for.
 *   after the rows: nothing.
 * A process that was taken for dead and goes on does no harm: its append is the same as recovery's, ids and revision,
 * and it writes no rows once another owns the intent.
 */
import type pg from 'pg';
import { Outcomes, type Unit, unitsOf, withoutRefused } from '../append-plan.js';
import type { BesideTable } from '../beside-table.js';
import type {
  AppendRequest,
  AppendResult,
  CaughtUp,
  EventStore,
  Head,
  Page,
  Position,
  ReadAllOptions,
  ReadStreamOptions,
  RecordedEvent,
  SubscribeOptions,
} from '../event-store.js';
import { BesideRefused, Conflict, Unsupported } from '../event-store.js';
import { tail, type TailPage } from '../subscription.js';
import { AppendWatch } from './append-watch.js';
import { BesideRows, ended, type HeldUnit, writtenNow } from './beside-rows.js';
import type { EventStoreDriver } from './driver.js';
import { type Beside, HeardLog } from './heard-log.js';
import { IntentKeeper } from './intent-keeper.js';
import { IntentRecovery } from './intent-recovery.js';
import { LogReader } from './log-reader.js';
import { StreamAppender } from './stream-appender.js';
import { StreamReader } from './stream-reader.js';
import { exceptStragglers, givenUp, isWhole, settleUnknown } from './unanswered.js';
import { UnitAppender } from './unit-appender.js';
import { digestOf } from './wire-event.js';

export interface EventStoreDbConfig {
  /** Made by `openDriver`; closed with the store. */
  readonly driver: EventStoreDriver;
  /** Of `createLogPool`, on the database of the beside tables; it stays open when the store is closed. */
  readonly pool: pg.Pool;
  /** Recorded time of new events, epoch ms. */
  readonly clock: () => number;
  /** Every beside table, in the order in which they are written and so locked. */
  readonly besideTables?: readonly BesideTable[];
  /** Brings the rows that belong to streams to the end of the log: called before an answer that they would lack. */
  readonly catchUp?: (streams: readonly string[]) => Promise<void>;
  /** Longest wait of a subscription between two looks at the log, ms; default 500. */
  readonly pollMs?: number;
  /** How long an append that failed is sent again, ms; default 3,000. */
  readonly retryForMs?: number;
  /** How long an append is waited for while no other of its call is answered either, once one was, ms; default 2,000. */
  readonly patienceMs?: number;
  /** How often it is said of what is on its way that it is, ms; default 2,000. */
  readonly keepMs?: number;
}

export class EventStoreDbEventStore implements EventStore {
  readonly #driver: EventStoreDriver;
  readonly #units: UnitAppender;
  readonly #beside: BesideRows;
  readonly #keeper: IntentKeeper;
  readonly #recovery: IntentRecovery;
  readonly #streams: StreamReader;
  readonly #reader: LogReader;
  readonly #watch: AppendWatch;
  readonly #heard: HeardLog;
  readonly #clock: () => number;
  readonly #catchUp: (streams: readonly string[]) => Promise<void>;
  readonly #pollMs: number;
  readonly #patienceMs: number;

  constructor(config: EventStoreDbConfig) {
    const { driver, pool, clock, besideTables = [], pollMs = 500, retryForMs, keepMs } = config;
    const { catchUp = () => Promise.resolve(), patienceMs = 2_000 } = config;
    const heard = (this.#heard = new HeardLog());
    const appender = new StreamAppender(driver, heard, retryForMs === undefined ? {} : { retryForMs });
    this.#driver = driver;
    this.#units = new UnitAppender(appender);
    const lastRevision = async (stream: string, beside: Beside) =>
      (await heard.endOf(stream, beside)) ?? (await appender.readTail(stream)).revision;
    this.#beside = new BesideRows(pool, besideTables, { lastRevision, catchUp });
    this.#catchUp = catchUp;
    this.#streams = new StreamReader(driver);
    this.#keeper = new IntentKeeper(pool, keepMs);
    this.#recovery = new IntentRecovery({
      ...{ pool, clock, beside: this.#beside, units: this.#units, streams: this.#streams, keeper: this.#keeper },
    });
    this.#reader = new LogReader(driver, this.#streams);
    this.#watch = new AppendWatch(driver, heard);
    this.#clock = clock;
    this.#pollMs = pollMs;
    this.#patienceMs = patienceMs;
  }

  async append(requests: readonly AppendRequest[]): Promise<readonly AppendResult[]> {
    const outcomes = new Outcomes(requests.length);
    const units = unitsOf(requests, outcomes);
    units.forEach(assertCanBeWhole);
    const now = Math.trunc(this.#clock());
    if (units.length === 1 && isFree(units[0]!) && units[0]![0]!.beside.length === 0) {
      // Nothing is taken before, nor written after.
      await this.#units.appendRun(units[0]!, now, outcomes);
      this.#watch.wake();
      return outcomes.all();
    }
    const begun = await this.#begin(units, now, outcomes);
    const open = await this.#keeper.during(begun, async () => {
      const failed = await this.#appendAll(begun, now, outcomes);
      // What is answered from now on comes too late: its rows are not written with the others.
      const whole = begun.filter(isWhole(outcomes));
      const rest = begun.filter((unit) => !isWhole(outcomes)(unit));
      await this.#end(whole, outcomes);
      return { units: rest, failed };
    });
    this.#watch.wake();
    await this.#learnOf(begun, outcomes);
    await this.#keeper.leave(givenUp(open));
    settleUnknown(open, begun.length, outcomes);
    return outcomes.all();
  }

  /**
   * Finishes what processes left that died: units that nobody worked on for so long.
   * @returns how many were finished
   */
  recover(idleMs: number): Promise<number> {
    return this.#recovery.run(idleMs);
  }

  readStream(stream: string, options: ReadStreamOptions = {}): Promise<readonly RecordedEvent[]> {
    return this.#streams.readStream(stream, options);
  }

  async readAll(options: ReadAllOptions): Promise<Page> {
    const { events, next } = await this.#page(options);
    return { events, next };
  }

  subscribe(options: SubscribeOptions): AsyncIterable<readonly RecordedEvent[] | CaughtUp> {
    const { filter } = options;
    return tail(
      {
        read: (after, limit) => this.#page({ after, limit, ...(filter && { filter }), following: true }),
        onAppended: (listener) => this.onAppended(listener),
        pollMs: this.#pollMs,
      },
      options,
    );
  }

  head(): Promise<Head> {
    return this.#reader.head();
  }

  /** Says which event stands at the position: `digestOf`. */
  hashAt(position: Position): Promise<string | null> {
    const heard = this.#heard.window.at(position);
    return heard === undefined ? this.#reader.hashAt(position) : Promise.resolve(digestOf(heard));
  }

  onAppended(listener: () => void, onBroken?: () => void): () => void {
    return this.#watch.listen(listener, onBroken);
  }

  close(): Promise<void> {
    this.#watch.close();
    return this.#driver.close();
  }

  #page(options: ReadAllOptions): Promise<TailPage> {
    const heard = options.following === true ? this.#heard.window.page(options) : undefined;
    return heard === undefined ? this.#reader.readAll(options) : Promise.resolve(heard);
  }

  /** Leaves out what a beside table refuses. */
  async #begin(units: readonly Unit[], now: number, outcomes: Outcomes): Promise<readonly HeldUnit[]> {
    for (let waiting = units; ;) {
      const held = waiting.map((unit) => this.#beside.hold(unit));
      const refusal = await this.#beside.begin(held, now);
      if (refusal === undefined) return held;
      waiting = withoutRefused(waiting, refusal.requests, refusal.table, outcomes);
    }
  }

  /** Units that share a stream go one after the other. @returns why there is no result, of those that have none */
  async #appendAll(units: readonly HeldUnit[], now: number, outcomes: Outcomes): Promise<ReadonlyMap<number, Error>> {
    const unknown = new Map<number, Error>();
    const last = new Map<string, Promise<unknown>>();
    const appending = runsOf(units.map(({ requests }) => requests.map(({ request }) => request))).map((run) => {
      const [unit] = run;
      const before = unit!.flatMap(({ stream }) => last.get(stream) ?? []);
      const append = (): Promise<void> =>
        isFree(unit!) ? this.#units.appendRun(run.flat(), now, outcomes) : this.#units.append(unit!, now, outcomes);
      // At once where nothing is waited for, so that what is sent keeps the order of the call.
      const done = before.length === 0 ? append() : Promise.allSettled(before).then(append);
      for (const { stream } of unit!) last.set(stream, done);
      return done.catch((error: unknown) => {
        for (const { ordinal } of run.flat()) unknown.set(ordinal, error as Error);
      });
    });
    await exceptStragglers(appending, this.#patienceMs);
    return unknown;
  }

  /** Rows of what was in the way are brought there at once: they would offer the same again. */
  async #learnOf(units: readonly HeldUnit[], outcomes: Outcomes): Promise<void> {
    const late = units.flatMap(({ requests }) =>
      requests.flatMap(({ request: { stream, ordinal }, rows }) => {
        const result = outcomes.has(ordinal) ? outcomes.get(ordinal) : undefined;
        return rows.length > 0 && result?.ok === false && result.error instanceof Conflict ? [stream] : [];
      }),
    );
    if (late.length > 0) await this.#catchUp(late);
  }

  async #end(units: readonly HeldUnit[], outcomes: Outcomes): Promise<void> {
    const settled = units.map((unit) => ended(unit, (ordinal) => writtenNow(outcomes.get(ordinal))));
    const { refusals, takenOver } = await this.#beside.end(settled);
    const others = takenOver.flatMap(({ requests }) => requests.map(({ request }) => request));
    await this.#units.readBack(others, outcomes);
    for (const { table, requests } of refusals) {
      for (const ordinal of requests) outcomes.settle(ordinal, { ok: false, error: new BesideRefused(table) });
    }
  }
}

/** Names no revision: others of its stream may go with it. */
const isFree = (unit: Unit): boolean => unit.length === 1 && unit[0]!.expected === 'any';

/** Units in order; those that follow each other on one stream and name no revision together. */
const runsOf = (units: readonly Unit[]): readonly (readonly Unit[])[] => {
  const runs: Unit[][] = [];
  const latest = new Map<string, Unit[]>();
  for (const unit of units) {
    const before = isFree(unit) ? latest.get(unit[0]!.stream) : undefined;
    if (before !== undefined && isFree(before[0]!)) {
      before.push(unit);
      continue;
    }
    const run = [unit];
    runs.push(run);
    for (const { stream } of unit) latest.set(stream, run);
  }
  return runs;
};

/** @throws Unsupported for a group that a race could leave half written */
const assertCanBeWhole = (unit: Unit): void => {
  if (unit.length > 1 && unit.some(({ expected, loose }) => expected !== 'noStream' && !loose)) {
    throw new Unsupported('a group on this log can only create streams');
  }
};

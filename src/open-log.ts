/**
 * The log of a process: in the database, or in an EventStoreDB beside it. Which tables an append writes beside the
 * events is said here, since they belong to three folders.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { ANSWERS } from './commands/answers.js';
import type { BesideTable } from './event-store/beside-table.js';
import { type EventStore, Unavailable } from './event-store/event-store.js';
import { EventStoreDbEventStore } from './event-store/eventstoredb/eventstoredb-event-store.js';
import { NamedLog } from './event-store/eventstoredb/named-log.js';
import { openDriver } from './event-store/eventstoredb/open-driver.js';
import { bindLog } from './event-store/postgres/place-of-log.js';
import { PostgresEventStore } from './event-store/postgres/postgres-event-store.js';
import { LEASES_DIRECT, LEASES_END, LEASES_PUT, LEASES_RENEW } from './leases/lease-rows.js';
import { JOBS_FACTS, JOBS_INSERT, JOBS_UPDATE } from './projections/jobs/job-row.js';
import { catchUpStreams } from './projections/jobs/catch-up.js';
import { PostgresJobRows } from './projections/jobs/job-rows.js';
import { Repeated } from './repeated.js';

/**
 * Order of the tables beside the log: the order in which an append locks their rows, and writes them. The end of a lease
 * comes before what is put in its place.
 */
const BESIDE_TABLES = [
  ANSWERS,
  JOBS_INSERT,
  JOBS_UPDATE,
  JOBS_FACTS,
  LEASES_END,
  LEASES_PUT,
  LEASES_RENEW,
  LEASES_DIRECT,
] as BesideTable[];

/** The log, once more for those who only read, and what has to be done beside it from time to time. */
interface Log {
  readonly store: EventStore;
  readonly reading: EventStore;
  readonly duties: readonly Repeated[];
}

/** An append that nobody finished for so long was left by a process that lost the log; of one that died it is seen at once. */
const LEFT_AFTER_MS = 10_000;
const RECOVERY_MS = 500;

interface LogOptions {
  /** Connection string of the EventStoreDB that keeps the log; undefined: it is in the database. */
  readonly eventStoreDbUrl: string | undefined;
  readonly pool: pg.Pool;
  readonly readPool: pg.Pool;
  /** The database's time, ms. */
  readonly now: () => number;
  /** Told of each recovery that failed; it is tried again. */
  readonly onDutyFailed: (error: unknown) => void;
}

/** Of one that does not answer by then it is seen when it does. */
const BOUND_WITHIN_MS = 2_000;

/** @throws OtherLog when the log that answers is another one */
const boundInTime = async (log: NamedLog): Promise<void> => {
  const later = (error: unknown): void => {
    if (!(error instanceof Unavailable)) throw error;
  };
  const bound = log.bind().catch(later);
  // What is wrong after that, each use of the log tells.
  bound.catch(() => undefined);
  await Promise.race([bound, pause(BOUND_WITHIN_MS, undefined, { ref: false })]);
};

/**
 * Opens the log where it is kept; its duties do not run yet.
 * @throws OtherLog when it is not the one that the database has rows of
 */
export const openLog = async (options: LogOptions): Promise<Log> => {
  const { eventStoreDbUrl, pool, readPool, now, onDutyFailed } = options;
  if (eventStoreDbUrl === undefined) {
    await bindLog(pool, 'here');
    const store = new PostgresEventStore({ pool, besideTables: BESIDE_TABLES });
    return { store, reading: new PostgresEventStore({ pool: readPool, wokenBy: store }), duties: [] };
  }
  const opened = await openDriver(eventStoreDbUrl);
  // Afterwards: it is for good, and a log that cannot be opened is no place.
  await bindLog(pool, 'elsewhere');
  const driver = new NamedLog(opened, pool);
  await boundInTime(driver);
  const rows = new PostgresJobRows(pool, 'elsewhere');
  const store: EventStoreDbEventStore = new EventStoreDbEventStore({
    ...{ driver, pool, clock: now, besideTables: BESIDE_TABLES },
    catchUp: (streams) => catchUpStreams({ pool, store, rows }, streams),
  });
  const recovery = new Repeated(() => store.recover(LEFT_AFTER_MS), RECOVERY_MS, onDutyFailed);
  return { store, reading: store, duties: [recovery] };
};

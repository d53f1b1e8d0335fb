/** The parts that answer questions, on connections of their own. */
import type pg from 'pg';
import { JobLogs } from './commands/job-logs.js';
import type { EventStore } from './event-store/event-store.js';
import type { PlaceOfLog } from './event-store/postgres/place-of-log.js';
import { Claimers } from './leases/claimers.js';
import { DatabaseMode } from './leases/database-mode.js';
import { PostgresLeases } from './leases/postgres-leases.js';
import { CounterQueries } from './projections/counters/counter-queries.js';
import { QueueQueries } from './projections/counters/queue-queries.js';
import { catchUpToShow } from './projections/jobs/catch-up.js';
import { JobQueries } from './projections/jobs/job-queries.js';
import { isSound, PostgresJobRows } from './projections/jobs/job-rows.js';
import { remadeJob } from './projections/jobs/repair-row.js';
import { Formats } from './projections/formats.js';
import type { SeenEvent } from './projections/log-witness.js';
import { LogTail } from './projections/log-tail.js';

/** What the API reads from: whoever waits here waits for other readers alone. */
export interface Reads {
  readonly store: EventStore;
  readonly place: PlaceOfLog;
  readonly rows: PostgresJobRows;
  readonly leases: PostgresLeases;
  readonly logs: JobLogs;
  readonly jobs: JobQueries;
  readonly counters: CounterQueries;
  readonly queues: QueueQueries;
  /** Noted by claims of the API, told with queues. */
  readonly claimers: Claimers;
  readonly formats: Formats;
  readonly mode: DatabaseMode;
  /** The end of the log, for all who follow it in this process. */
  readonly tail: LogTail;
}

export interface ReadsDependencies {
  readonly pool: pg.Pool;
  readonly store: EventStore;
  readonly place: PlaceOfLog;
  /** Told of readers of the log's end that fail. */
  readonly tailFailed: (error: unknown) => void;
  /** Told of the last events that are read at its end. */
  readonly saw: (event: SeenEvent) => void;
}

export const readsOf = ({ pool, store, place, tailFailed, saw }: ReadsDependencies): Reads => {
  const onRows = { pool, store, rows: new PostgresJobRows(pool, place) };
  const catchUp = place === 'elsewhere' ? (ids: readonly string[]) => catchUpToShow(onRows, ids) : undefined;
  const rows = new PostgresJobRows(pool, place, isSound, catchUp);
  return {
    store,
    place,
    rows,
    leases: new PostgresLeases(pool),
    logs: new JobLogs(pool),
    jobs: new JobQueries(pool, (jobId) => remadeJob(store, rows, jobId), catchUp),
    counters: new CounterQueries(pool),
    queues: new QueueQueries(pool),
    claimers: new Claimers(pool),
    formats: new Formats(pool),
    mode: new DatabaseMode(pool),
    tail: new LogTail(store, { onError: tailFailed, saw }),
  };
};

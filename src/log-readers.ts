/** What reads the log on in a process: the projections it runs, and its rebuilds and verifications. */
import type pg from 'pg';
import type { EventStore } from './event-store/event-store.js';
import { createLedgerPool } from './event-store/postgres/ledger-pool.js';
import { PostgresEventStore } from './event-store/postgres/postgres-event-store.js';
import { MadeRows } from './projections/jobs/made-rows.js';
import type { Projection } from './projections/projection.js';
import type { ProjectionLog } from './projections/projection-loop.js';
import type { SeenEvent } from './projections/log-witness.js';
import { ProjectionRunner } from './projections/projection-runner.js';
import { ProjectionWatch } from './projections/projection-watch.js';
import { ProjectionCatalogue } from './projections/upkeep/catalogue.js';
import { Upkeep, type UpkeepLog } from './projections/upkeep/upkeep.js';

/** Told of projections that fail, and of readers of the log's end. */
export interface ReadersLog extends ProjectionLog {
  readonly tailFailed: (error: unknown) => void;
  /** The log lacks an event that was seen in it. */
  readonly replaced: (event: SeenEvent) => void;
  readonly upkeep: UpkeepLog;
}

export const NO_LOG: ReadersLog = {
  failed: () => undefined,
  parked: () => undefined,
  tailFailed: () => undefined,
  replaced: () => undefined,
  upkeep: { head: () => undefined, ended: () => undefined, failed: () => undefined },
};

export interface LogReadersDependencies {
  readonly store: EventStore;
  readonly projections: readonly Projection[];
  /** Of this process. */
  readonly instanceId: string;
  readonly log: ReadersLog;
}

/** Whether a projection has to be run; appends write the others. */
const follows = ({ inline }: Projection): boolean => inline !== true;

/** @param readPool of questions: what holds them up holds up no command */
export const projectionsOf = (
  pool: pg.Pool,
  readPool: pg.Pool,
  { store, projections, instanceId, log }: LogReadersDependencies,
) => {
  const runner = new ProjectionRunner({ store, pool, projections: projections.filter(follows), instanceId, log });
  const projectionWatch = new ProjectionWatch(store, readPool, projections, (name) => runner.hurry(name));
  return {
    projections: runner,
    projectionWatch,
    madeRows: new MadeRows(store, projectionWatch),
    catalogue: new ProjectionCatalogue({ pool: readPool, projections, watch: projectionWatch }),
  };
};

/** Of a process's own runs of upkeep: they do not take those of calls, nor wait for them. */
const UPKEEP_CONNECTIONS = 4;
/** An `analyze` of a large table takes longer than any statement that somebody waits for, ms. */
const UPKEEP_STATEMENT_MS = 120_000;

export interface UpkeepDatabase {
  readonly databaseUrl: string;
  readonly statementTimeoutMs: number;
  /** Present: the log is not in the database. */
  readonly eventStoreDbUrl?: string;
}

/** On connections of its own. */
export const upkeepOf = (
  { databaseUrl, statementTimeoutMs, eventStoreDbUrl }: UpkeepDatabase,
  { store, projections, instanceId, log }: LogReadersDependencies,
) => {
  const pool = createLedgerPool({
    connectionString: databaseUrl,
    poolSize: UPKEEP_CONNECTIONS,
    statementTimeoutMs: Math.max(statementTimeoutMs, UPKEEP_STATEMENT_MS),
    applicationName: 'jobledger upkeep',
  });
  const own = eventStoreDbUrl === undefined ? new PostgresEventStore({ pool, wokenBy: store }) : undefined;
  const upkeep = new Upkeep({
    ...{ store: own ?? store, pool, projections, instanceId, log: log.upkeep },
    ...(own && { walkLog: (kept, onProgress, signal) => own.verify({ kept, onProgress, signal }) }),
  });
  const close = async (): Promise<void> => {
    await upkeep.stop();
    await own?.close();
    await pool.end();
  };
  return { upkeep, close, pool };
};

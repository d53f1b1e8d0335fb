/**
 * Everything that runs in one process, put together by hand: the log, the write path, claims, the reaper. Nest adds
 * HTTP on top (`app.module.ts`); benches and tests use it as it is.
 */
import type pg from 'pg';
import { PostgresAnswers } from './commands/answers.js';
import { type BatchDependencies, BatchSteps } from './commands/batch.js';
import { Claims } from './commands/claims.js';
import { Contexts } from './commands/contexts.js';
import type { Outcome } from './commands/envelope.js';
import { Heartbeats } from './commands/heartbeats.js';
import { JobLogs } from './commands/job-logs.js';
import { JobStates } from './commands/job-states.js';
import { Ledger } from './commands/ledger.js';
import { LostLeases } from './commands/lease-seed.js';
import { LeaseTokens } from './commands/lease-token.js';
import { Pipeline } from './commands/pipeline.js';
import { Refusals } from './commands/refusals.js';
import { Verification } from './commands/verification.js';
import { claimableOf } from './domain/claimable.js';
import type { Policy } from './domain/policy.js';
import type { EventStore } from './event-store/event-store.js';
import { v7 } from './commands/uuid.js';
import { createBackgroundPool } from './event-store/postgres/background-pool.js';
import { createLedgerPool } from './event-store/postgres/ledger-pool.js';
import { migrate } from './event-store/postgres/migrate.js';
import type { PlaceOfLog } from './event-store/postgres/place-of-log.js';
import { DatabaseClock } from './leases/database-clock.js';
import type { ClockLag, ClockLog } from './leases/clock-lag.js';
import { installationSecret, type SharedSetting, SharedSettings } from './leases/installation.js';
import { PostgresLeases } from './leases/postgres-leases.js';
import { PostgresReservations } from './leases/postgres-reservations.js';
import { COUNTERS } from './projections/counters/counters.js';
import type { CatchUpDependencies } from './projections/jobs/catch-up.js';
import { Damage } from './projections/jobs/damage.js';
import { JOBS } from './projections/jobs/jobs.js';
import { JOB_COLUMNS, PostgresJobRows, readJob } from './projections/jobs/job-rows.js';
import { rowFollower } from './projections/jobs/row-follower.js';
import { Formats } from './projections/formats.js';
import { LogWitness, type SeenEvent } from './projections/log-witness.js';
import type { Projection } from './projections/projection.js';
import type { ProjectionRunner } from './projections/projection-runner.js';
import type { ProjectionWatch } from './projections/projection-watch.js';
import type { ProjectionCatalogue } from './projections/upkeep/catalogue.js';
import type { Upkeep } from './projections/upkeep/upkeep.js';
import { Housekeeping, type HousekeepingDependencies } from './reaper/housekeeping.js';
import { reapWith } from './reaper/reap.js';
import type { ReapJob } from './reaper/reap.saga.js';
import { Reaper, type ReaperLog } from './reaper/reaper.js';
import { ReaperWatch } from './reaper/reaper-watch.js';
import { Sweeps } from './reaper/sweeps.js';
import { openLog } from './open-log.js';
import { type Outage, type OutageLog, toldOfOutagesOnce } from './outage.js';
import { NO_LOG, projectionsOf, type ReadersLog, upkeepOf } from './log-readers.js';
import { type Reads, readsOf } from './reads.js';
import { watchClock, watchLog, watchOutages } from './watches.js';

export interface ServiceOptions {
  readonly databaseUrl: string;
  /** Most connections, from 2; reads of the API get at most `READ_SHARE` of them. */
  readonly poolSize: number;
  readonly statementTimeoutMs: number;
  /** Connection string of the EventStoreDB that keeps the log; absent: it is in the database. */
  readonly eventStoreDbUrl?: string;
  /** The configured default policy. */
  readonly policy: Policy;
  readonly maxPending: number;
  readonly idempotencyMs: number;
  /** Null: the installation's own, kept in the database. */
  readonly secret: string | null;
  readonly reaper: {
    readonly intervalMs: number;
    readonly log: ReaperLog & { readonly jobFailed: (jobId: string, error: unknown) => void };
    /** How its commands are sent; default: straight to the pipeline. */
    readonly execute?: (command: ReapJob) => Promise<Outcome>;
  };
  /** Told of each append: how many commands it wrote, and how long it took; default nobody. */
  readonly onBatch?: BatchDependencies['onBatch'];
  /** Told of the database, or the log, that goes away and comes back; default nobody. */
  readonly outageLog?: OutageLog;
  /** Told of a clock of the database that was set back; default nobody. */
  readonly clockLog?: ClockLog;
  /** Told of what the process starts with another of than the one before it; default nobody. */
  readonly onOtherSetting?: (setting: SharedSetting) => void;
  /** Default nobody. */
  readonly projectionLog?: ReadersLog;
}

/** A command that is not appended after this long is refused, and was not done. */
const COMMAND_TIMEOUT_MS = 10_000;

/**
 * Lists, histories and streams have connections of their own: with one pool for all, fifty slow lists left appends,
 * heartbeats and the reaper without any.
 */
const READ_SHARE = 0.4;

/** What runs in a process. */
export interface Service {
  readonly pool: pg.Pool;
  /** All of the process's, by what they are for. */
  readonly pools: Readonly<Record<'commands' | 'reads' | 'upkeep' | 'background', pg.Pool>>;
  readonly store: EventStore;
  readonly clock: DatabaseClock;
  readonly clockLag: ClockLag;
  readonly shared: SharedSettings;
  readonly tokens: LeaseTokens;
  readonly contexts: Contexts;
  readonly rows: PostgresJobRows;
  readonly leases: PostgresLeases;
  readonly ledger: Ledger;
  readonly claims: Claims;
  readonly pipeline: Pipeline;
  readonly reaper: Reaper;
  readonly watch: ReaperWatch;
  readonly reads: Reads;
  /** The projections of this process; they run once they are started. */
  readonly projections: ProjectionRunner;
  readonly projectionWatch: ProjectionWatch;
  /** Rebuilds and verifications; once it is started it takes over those that other processes left. */
  readonly upkeep: Upkeep;
  readonly catalogue: ProjectionCatalogue;
  /** Sends a reap the way of any command; the command bus calls it. */
  readonly reap: (command: ReapJob) => Promise<Outcome>;
  /** Claims end with nothing, what is in flight is answered, new commands are refused. */
  readonly drain: () => Promise<void>;
  /** Drains, then closes every connection. */
  readonly close: () => Promise<void>;
}

const placeOfLog = ({ eventStoreDbUrl }: ServiceOptions): PlaceOfLog =>
  eventStoreDbUrl === undefined ? 'here' : 'elsewhere';

interface CommandsDependencies {
  readonly pool: pg.Pool;
  readonly background: pg.Pool;
  readonly clock: DatabaseClock;
  readonly store: EventStore;
  readonly contexts: Contexts;
  readonly witness: LogWitness;
  /** Asked before rows are searched, where the log is elsewhere. */
  readonly requireRows: () => Promise<void>;
}

const commandsOf = (options: ServiceOptions, on: CommandsDependencies) => {
  const { pool, background, clock, store, contexts, witness, requireRows } = on;
  const rows = new PostgresJobRows(pool, placeOfLog(options));
  const leases = new PostgresLeases(pool);
  const reservations = new PostgresReservations(pool, background, clock, {
    columns: JOB_COLUMNS,
    read: readJob,
    claimable: ({ job }) => claimableOf(job),
  });
  const answers = new PostgresAnswers(pool);
  const refusals = new Refusals(store);
  const logs = new JobLogs(pool);
  const damage = new Damage(store, pool);
  const states = new JobStates(store, rows, {
    onDamage: (jobId) => damage.note(jobId),
    onState: (job) => reservations.note(() => claimableOf(job)),
    witness,
  });
  const lostLeases = new LostLeases(store, rows, leases, contexts);
  const verification = new Verification({ store, states, rows, lostLeases, answers, refusals });
  const pipeline = new Pipeline(
    new BatchSteps({ store, states, verification, contexts, onBatch: options.onBatch }),
    options,
  );
  const claims = new Claims(store, answers, reservations, states, rows, pipeline, options.maxPending);
  const heartbeats = new Heartbeats(leases, options.maxPending);
  const ledger = new Ledger({
    ...{ store, states, pipeline, claims, heartbeats, leases, lostLeases, answers, refusals, logs },
    ...(placeOfLog(options) === 'elsewhere' && { requireRows }),
    commandTimeoutMs: COMMAND_TIMEOUT_MS,
  });
  return { rows, leases, reservations, answers, states, pipeline, claims, ledger };
};

/** Of rows of jobs: appends write them, or they follow the log. */
const jobsOf = (options: ServiceOptions, on: CatchUpDependencies, clock: DatabaseClock): Projection =>
  placeOfLog(options) === 'elsewhere' ? rowFollower(on, () => clock.now()) : JOBS;

/** The secret of lease tokens, and the policy, once others can tell that they are in use. */
const sharedOf = async (
  { secret: configured, policy, onOtherSetting }: ServiceOptions,
  pool: pg.Pool,
  readPool: pg.Pool,
) => {
  const secret = configured ?? (await installationSecret(pool));
  const shared = new SharedSettings(readPool, { secret, policy });
  for (const setting of await shared.declare()) onOtherSetting?.(setting);
  return { tokens: new LeaseTokens(secret), shared };
};

type ReaperDependencies = ConstructorParameters<typeof Reaper>[0];

const reaperOf = (
  { reaper: { intervalMs, log, execute }, policy }: ServiceOptions,
  {
    reap,
    ...on
  }: Omit<ReaperDependencies, 'log' | 'execute' | 'onError' | 'absence'> & { readonly reap: Service['reap'] },
): Reaper =>
  new Reaper(
    { ...on, log, execute: execute ?? reap, onError: log.jobFailed, absence: () => on.sweeps.absence() },
    { intervalMs, policy: JSON.stringify(policy) },
  );

const housekeepingOf = (
  options: ServiceOptions,
  { pool, end }: ReturnType<typeof createBackgroundPool>,
  on: Pick<HousekeepingDependencies, 'leases' | 'contexts' | 'forgetHints'>,
): Housekeeping =>
  new Housekeeping(
    {
      ...{ ...on, end, onError: options.reaper.log.housekeepingFailed },
      rows: new PostgresJobRows(pool, placeOfLog(options)),
      answers: new PostgresAnswers(pool),
    },
    options.idempotencyMs,
  );

/** For commands, for reads, and for what nobody waits for, so that none waits for another. */
const poolsOf = ({ databaseUrl: connectionString, poolSize, statementTimeoutMs }: ServiceOptions) => {
  const readers = Math.max(1, Math.floor(poolSize * READ_SHARE));
  const poolOf = (size: number) => createLedgerPool({ connectionString, poolSize: size, statementTimeoutMs });
  const background = createBackgroundPool({ connectionString });
  return { pool: poolOf(poolSize - readers), readPool: poolOf(readers), background };
};

/** Migrates the database and opens what a process needs of it. Nothing runs by itself yet but the clock, and what looks for outages. */
export const openService = async (given: ServiceOptions): Promise<Service> => {
  const outages: Outage[] = [];
  const options = toldOfOutagesOnce(given, outages);
  await migrate(options.databaseUrl);
  const { pool, readPool, background } = poolsOf(options);
  const clock = new DatabaseClock(pool);
  const { store, reading, duties } = await openLog({
    ...{ eventStoreDbUrl: options.eventStoreDbUrl, pool, readPool, now: () => clock.now() },
    onDutyFailed: (error) => options.reaper.log.failed(error, 1),
  });
  const formats = new Formats(pool);
  await formats.declare();
  await clock.sample();
  const { tokens, shared } = await sharedOf(options, pool, readPool);
  const contexts = new Contexts(clock, options.policy, Math.random);
  const { projectionLog: log = NO_LOG } = options;
  const witness = new LogWitness(store, (event) => {
    log.replaced(event);
    states.forgetAll();
    reads.tail.replace();
    claims.wake();
  });
  const requireRows = (): Promise<void> => following.madeRows.require();
  const onLogAndRows = { pool, background: background.pool, clock, store, contexts, witness, requireRows };
  const { reservations, states, ...commands } = commandsOf(options, onLogAndRows);
  const { rows, leases, claims, pipeline } = commands;
  const atEnd = { tailFailed: log.tailFailed, saw: (event: SeenEvent) => witness.saw(event) };
  const reads = readsOf({ pool: readPool, store: reading, place: placeOfLog(options), ...atEnd });
  const sweeps = new Sweeps(pool, v7());
  const judging = { store, leases, rows, contexts, clock, sweeps };
  const reap = reapWith(pipeline, claims, sweeps.instanceId);
  const forgetHints = () => Promise.all([reservations.sweep(), reads.claimers.sweep()]);
  const housekeeping = housekeepingOf(options, background, { leases, contexts, forgetHints });
  const reaper = reaperOf(options, { ...judging, reap, housekeeping, isOutdated: () => formats.isOutdated() });
  const projections = [jobsOf(options, { pool, store, rows }, clock), COUNTERS];
  const onLog = { store, projections, instanceId: sweeps.instanceId, log };
  const following = projectionsOf(pool, readPool, onLog);
  const { upkeep, close: closeUpkeep, pool: upkeepPool } = upkeepOf(options, onLog);
  for (const duty of duties) duty.start();
  outages.push(...watchOutages(options, clock, store));
  const logWatch = watchLog(witness);
  const clockWatch = watchClock(options, clock, reading);
  const unsubscribe = store.onAppended(() => claims.wake());
  const drain = async (): Promise<void> => {
    claims.drain();
    await reaper.stop();
    await pipeline.drain();
  };
  const close = async (): Promise<void> => {
    for (const watched of [...outages, clockWatch, logWatch]) watched.stop();
    await drain();
    await Promise.all([housekeeping.stop(), following.projections.stop()]);
    await closeUpkeep();
    await Promise.all(duties.map((duty) => duty.stop()));
    unsubscribe();
    reads.claimers.stop();
    await Promise.all([...new Set([store, reading])].map((one) => one.close()));
    await Promise.all([pool.end(), readPool.end()]);
  };
  const asked = { sweeps: new Sweeps(readPool, sweeps.instanceId), leases: reads.leases, rows: reads.rows };
  const watch = new ReaperWatch({ ...judging, ...asked }, options.reaper.intervalMs);
  const pools = { commands: pool, reads: readPool, upkeep: upkeepPool, background: background.pool };
  return {
    ...{ pool, pools, store, clock, clockLag: clockWatch.lag, shared, tokens, contexts },
    ...{ ...commands, ...following, upkeep, reads, reaper, watch, reap },
    drain,
    close,
  };
};

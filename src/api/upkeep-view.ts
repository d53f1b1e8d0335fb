/** Runs of upkeep and projections as the wire has them. */
import type { Head } from '../event-store/event-store.js';
import type { ParkedEntry } from '../projections/parked.js';
import type { CataloguedProjection } from '../projections/upkeep/catalogue.js';
import { LOG_SUBJECT, type UpkeepRun } from '../projections/upkeep/upkeep-runs.js';
import type * as wire from './contract.js';

/** By what was done in the time so far; null while nothing was. */
const etaMs = ({ position, startedAt, state }: UpkeepRun, head: Head, now: number): number | null => {
  if (state !== 'running' || position === '0') return null;
  const left = BigInt(head.position) - BigInt(position);
  if (left <= 0n) return 0;
  return Math.round(((now - Date.parse(startedAt)) * Number(left)) / Number(position));
};

const percentOf = ({ position, state }: UpkeepRun, head: Head): number =>
  state === 'done' || head.position === '0'
    ? 100
    : Math.min(100, Math.floor((Number(position) / Number(head.position)) * 1_000) / 10);

type Outcome = Partial<
  Pick<
    wire.Upkeep,
    'ok' | 'reason' | 'firstBad' | 'hash' | 'differing' | 'truncated' | 'differences' | 'repaired' | 'parked'
  >
>;

const outcomeOf = ({ state, result }: UpkeepRun): wire.Upkeep['ok'] => {
  if (state === 'running') return null;
  return state === 'done' && (result as Outcome | null)?.ok !== false;
};

/** What a verification that has ended found. `differing` null: no rows were compared. */
export const findingOf = (run: UpkeepRun): { readonly isSound: boolean; readonly differing: number | null } => {
  const { repaired = false, differing = null } = (run.result ?? {}) as Outcome;
  if (repaired) return { isSound: true, differing: 0 };
  return { isSound: outcomeOf(run) === true, differing };
};

export const viewUpkeep = (run: UpkeepRun, head: Head, now: number): wire.Upkeep => {
  const { reason, firstBad, hash, differing, truncated, differences, repaired, parked } = (
    run.state === 'running' ? {} : (run.result ?? {})
  ) as Outcome;
  return {
    id: run.id,
    kind: run.kind,
    projection: run.subject === LOG_SUBJECT ? null : run.subject,
    state: run.state,
    step: run.step,
    ok: outcomeOf(run),
    reason: run.error ?? reason ?? null,
    firstBad: firstBad ?? null,
    position: run.position,
    head: head.position,
    percent: percentOf(run, head),
    events: run.events,
    eventsPerSecond: run.eventsPerSecond,
    etaMs: etaMs(run, head, now),
    hash: hash ?? null,
    differing: differing ?? null,
    truncated: truncated ?? false,
    differences: differences ?? [],
    repaired: repaired ?? false,
    parked: parked ?? null,
    requestedBy: run.requestedBy,
    startedAt: run.startedAt,
    finishedAt: run.finishedAt,
  };
};

export const viewProjection = (
  projection: CataloguedProjection,
  head: Head,
  now: number,
  parked: readonly ParkedEntry[] = [],
): wire.Projection => {
  const { upkeep, generations, parked: parkedCount, ...status } = projection;
  return {
    ...{ name: status.name, version: status.version, state: 'live', inline: status.inline },
    ...{ position: status.position, lagEvents: status.lagEvents, lagMs: status.lagMs, leader: status.leader },
    lastError: status.lastError,
    parked: parkedCount,
    parkedStreams: parked.map(({ stream, position, error, at }) => ({ stream, position, error, at })),
    generations,
    upkeep: upkeep === null ? null : viewUpkeep(upkeep, head, now),
    digest: null,
  };
};

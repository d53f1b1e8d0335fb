/**
 * Whether this process can serve. Only what keeps it from that makes it unavailable: a load balancer takes it out
 * then. A reaper that is late or a stream that cannot be read is somebody's business, and no reason to serve nobody.
 */
import { Inject, Injectable } from '@nestjs/common';
import { START, type EventStore } from '../event-store/event-store.js';
import { ClockLag } from '../leases/clock-lag.js';
import { DatabaseMode } from '../leases/database-mode.js';
import { type SharedSetting, SharedSettings } from '../leases/installation.js';
import { Formats } from '../projections/formats.js';
import { MAX_LAG_MS, type ProjectionStatus, ProjectionWatch, readPercent } from '../projections/projection-watch.js';
import { ReaperWatch } from '../reaper/reaper-watch.js';
import { DATABASE_AWAY, LOG_AWAY, TABLE_MISSING } from './away.js';
import type * as wire from './contract.js';
import type { ApiKeys } from './keys/api-keys.js';
import { API_KEYS, EVENT_STORE, IS_LOG_ELSEWHERE } from './ports.js';
import { isTableMissing } from './problem-of.js';
import { Shutdown } from './shutdown.js';
import { within } from './within.js';

type Check = wire.Ready['checks'][string];

const OK: Check = { status: 'ok', detail: null };
const unavailable = (detail: string): Check => ({ status: 'unavailable', detail });

/** Whoever asks has a time limit of its own, of a few seconds as a rule. */
const CHECK_MS = 2_000;

const worst = (checks: readonly Check[]): wire.HealthStatus => {
  if (checks.some(({ status }) => status === 'unavailable')) return 'unavailable';
  return checks.some(({ status }) => status === 'degraded') ? 'degraded' : 'ok';
};

/** Who asks has no key, perhaps: where the file is, and what is wrong with it, the log says. */
const BROKEN_KEYS: Check = {
  status: 'degraded',
  detail: 'the file of API keys cannot be used: those of the last good one are in force; the log says why',
};
const NO_KEYS: Check = { status: 'degraded', detail: 'there is no API key: nobody gets in' };

/** Nothing is wrong with what this process does: it does less. */
const OUTDATED: Check = {
  status: 'degraded',
  detail:
    'a newer jobledger writes to this log: what this process cannot read it leaves to the newer one, commands on such ' +
    'jobs get 503; upgrade this process',
};

/** Both processes answer, and each refuses what the other gave, or judges otherwise. */
const OTHER_SETTING: Readonly<Record<SharedSetting, Check>> = {
  secret: {
    status: 'degraded',
    detail:
      'a process that was started after this one has another JOBLEDGER_SECRET: each of them refuses the lease tokens that the ' +
      'other gave (409 stale_lease); give every process the same one, or none, and start those again that have another',
  },
  policy: {
    status: 'degraded',
    detail:
      'a process that was started after this one has another policy (JOBLEDGER_PRESET, JOBLEDGER_POLICY_…): it depends on who ' +
      'judges when a job is stale; give every process the same, and start those again that have another',
  },
};

const clockCheck = (lagMs: number): Check => ({
  status: 'degraded',
  detail:
    `the clock of the database is ${Math.ceil(lagMs / 1_000)} s behind the last event of the log, it was set back: delays, ` +
    'retries, leases and other deadlines stand still until it has caught up',
});

const keysCheck = ({ complaint, size }: ApiKeys): Check => {
  if (complaint !== null) return BROKEN_KEYS;
  return size === 0 ? NO_KEYS : OK;
};

/** @param takesWrites undefined: it does not answer */
const databaseCheck = (takesWrites: boolean | undefined): Check => {
  if (takesWrites === undefined) return unavailable(DATABASE_AWAY);
  return takesWrites ? OK : unavailable('the database is read-only');
};

const lateness = (status: ProjectionStatus): string => {
  const { name, lagMs, lastError, position, leader } = status;
  const behind = `${name} is ${lagMs} ms behind, ${readPercent(status)} % of the log is read`;
  if (lastError !== null) return `${behind}: ${lastError}`;
  if (position !== START || leader !== null) return behind;
  return `${behind}: nobody follows the log for it, or its checkpoint was deleted (jobledger rebuild ${name})`;
};

const projectionsCheck = (found: readonly ProjectionStatus[]): Check => {
  const late = found.filter(({ lagMs }) => lagMs > MAX_LAG_MS);
  if (late.length > 0) return unavailable(late.map(lateness).join('; '));
  const parked = found.find((each) => each.parked > 0);
  if (parked !== undefined) {
    const skipped = parked.parked === 1 ? '' : ` and ${parked.parked - 1} more`;
    const where = `GET /v1/admin/projections/${parked.name} says why`;
    return { status: 'degraded', detail: `${parked.name} skips the stream ${parked.firstParked}${skipped}: ${where}` };
  }
  const stuck = found.find((each) => each.lastError !== null);
  return stuck === undefined ? OK : { status: 'degraded', detail: `${stuck.name}: ${stuck.lastError}` };
};

const ofMissingTable = (error: unknown): string => {
  if (isTableMissing(error)) return TABLE_MISSING;
  throw error;
};

/** @param complaint undefined: not known */
const reaperCheck = (complaint: string | null | undefined, isLogAway: boolean): Check => {
  if (complaint === undefined) return { status: 'degraded', detail: `not known: ${DATABASE_AWAY}` };
  if (complaint !== null) return { status: 'degraded', detail: complaint };
  return isLogAway ? { status: 'degraded', detail: `nothing can be reaped: ${LOG_AWAY}` } : OK;
};

@Injectable()
export class Readiness {
  constructor(
    @Inject(EVENT_STORE) private readonly store: EventStore,
    private readonly projectionWatch: ProjectionWatch,
    private readonly reaperWatch: ReaperWatch,
    private readonly shutdown: Shutdown,
    @Inject(API_KEYS) private readonly keys: ApiKeys | null,
    private readonly formats: Formats,
    private readonly mode: DatabaseMode,
    private readonly clockLag: ClockLag,
    private readonly shared: SharedSettings,
    @Inject(IS_LOG_ELSEWHERE) private readonly isElsewhere: boolean,
  ) {}

  async check(): Promise<wire.Ready> {
    const [hasHead, takesWrites, found, complaint, isOutdated, lagMs = 0, others = []] = await Promise.all([
      within(CHECK_MS, this.store.head()).then((head) => head !== undefined),
      within(CHECK_MS, this.mode.takesWrites()),
      within(CHECK_MS, this.projectionWatch.status()),
      within(CHECK_MS, this.reaperWatch.complaint().catch(ofMissingTable)),
      within(CHECK_MS, this.formats.isOutdated()),
      within(CHECK_MS, this.clockLag.look()),
      within(CHECK_MS, this.shared.others()),
    ]);
    const { isElsewhere } = this;
    const isLogAway = isElsewhere && !hasHead;
    const database = databaseCheck(isElsewhere || hasHead ? takesWrites : undefined);
    // Projections are asked of both.
    const away = isLogAway && takesWrites !== undefined ? LOG_AWAY : DATABASE_AWAY;
    const checks = {
      database,
      ...(isElsewhere ? { log: isLogAway ? unavailable(LOG_AWAY) : OK } : {}),
      projections: found === undefined ? unavailable(`not known: ${away}`) : projectionsCheck(found),
      reaper: reaperCheck(complaint, isLogAway),
      ...(lagMs > 0 ? { clock: clockCheck(lagMs) } : {}),
      ...(isOutdated === true ? { version: OUTDATED } : {}),
      ...Object.fromEntries(others.map((setting) => [setting, OTHER_SETTING[setting]])),
      ...(this.keys === null ? {} : { apiKeys: keysCheck(this.keys) }),
      ...(this.shutdown.begun ? { process: unavailable('the process is stopping') } : {}),
    };
    return { status: worst(Object.values(checks)), checks };
  }
}

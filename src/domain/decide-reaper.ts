/** What a stall rule does when it fires: one verdict a rule, with the evidence it was judged on. */
import type { CommandOf, Context } from './job-commands.js';
import { stallOf, toInstant, type Evidence, type JobError, type JobEvent, type Rule } from './job-events.js';
import { backToQueue } from './enter.js';
import type { Job } from './job.js';
import { dueRule, thresholdsOf } from './stall-rules.js';

/** Bumped when a release changes what a rule looks at. */
const RULE_VERSION = 1;

type Reap = CommandOf<'reap'>;

const instantOrNull = (epochMs: number | null): string | null => (epochMs === null ? null : toInstant(epochMs));

const evidenceOf = (rule: Rule, job: Job, command: Reap, context: Context): Evidence => ({
  rule,
  ruleVersion: RULE_VERSION,
  thresholds: thresholdsOf(rule, command.clocks, context.policy),
  lastActivityAt: toInstant(command.clocks.lastActivityAt),
  lastActivityPosition: command.lastActivityPosition,
  lastBeatAt: instantOrNull(command.clocks.lastBeatAt),
  observedAt: toInstant(context.now),
  revision: job.revision,
});

/** The lease is lost: the job goes back while the run may still lose one, else the end of the run. */
const lostLease = (
  job: Job,
  evidence: Evidence,
  reason: 'lease_expired' | 'stale',
  context: Context,
): readonly JobEvent[] => {
  const lostLeases = job.lostLeases + 1;
  const { maxLostLeases } = context.policy;
  const workerId = job.lease?.workerId ?? '';
  const expired: JobEvent = { type: 'LeaseExpired', data: { workerId, lostLeases, evidence } };
  if (lostLeases <= maxLostLeases) return [expired, backToQueue(job, reason)];
  const message = `lost ${lostLeases} leases in this run, ${maxLostLeases} are allowed`;
  return [
    expired,
    { type: 'JobFailed', data: { error: { code: 'LeaseExpired', message, detail: null }, reason: null } },
    { type: 'JobDeadLettered', data: { reason: 'lost_leases' } },
  ];
};

const timedOut = (rule: Rule, error: JobError, evidence: Evidence): readonly JobEvent[] => [
  { type: 'JobTimedOut', data: { rule, error, evidence } },
];

const stalled = (job: Job, evidence: Evidence, context: Context): readonly JobEvent[] => {
  switch (context.policy.onStale) {
    case 'fail': {
      const message = `Job stalled: ${stallOf(evidence.thresholds)}`;
      return timedOut('stalled', { code: 'JobTimeout', message, detail: null }, evidence);
    }
    case 'cancel':
      return [
        { type: 'JobCancelled', data: { reason: 'stale', forced: true, rule: 'stalled', evidence, outcome: null } },
      ];
    case 'requeue':
      return lostLease(job, evidence, 'stale', context);
  }
};

const forcedEnd = (job: Job, evidence: Evidence): readonly JobEvent[] => [
  {
    type: 'JobCancelled',
    data: { reason: job.cancel?.reason ?? null, forced: true, rule: evidence.rule, evidence, outcome: null },
  },
];

/** No events: nothing is due, the job lives. */
export const decideByReaper = (job: Job, command: Reap, context: Context): readonly JobEvent[] => {
  const rule = dueRule(job, command.clocks, context.policy, context.now);
  if (rule === null) return [];
  const evidence = evidenceOf(rule, job, command, context);
  switch (rule) {
    case 'due':
      return [{ type: 'JobQueued', data: { reason: 'due' } }];
    case 'lease_expired':
      return job.status === 'cancelling'
        ? forcedEnd(job, evidence)
        : lostLease(job, evidence, 'lease_expired', context);
    case 'stalled':
      return stalled(job, evidence, context);
    case 'cancel_forced':
      return forcedEnd(job, evidence);
    case 'wait_expired': {
      const message = `nothing came for it within ${context.policy.waitLimitMs} ms or until its own limit`;
      return timedOut('wait_expired', { code: 'WaitExpired', message, detail: null }, evidence);
    }
    case 'finalize_expired':
    case 'item_timeout':
    case 'not_started':
      // Items and start limits are not built: no state of a job can make these due.
      throw new Error(`rule ${rule} is due for job ${job.id}, but nothing in this version can lead there`);
  }
};

/** What workers call, in words. */
import type { CallDescription } from './calls.js';

const LEASE_TOKEN = 'the leaseToken of the claim';
const byWorker = (id: string, summary: string, description: string, example: object): CallDescription => ({
  ...{ id, tag: 'Workers', summary, description, answer: 'CommandAnswer', keyed: true },
  example: { leaseToken: LEASE_TOKEN, ...example },
});

export const WORKER_CALLS: Readonly<Record<string, CallDescription>> = {
  'POST /v1/claims': {
    id: 'claimJobs',
    tag: 'Workers',
    summary: 'Claim jobs',
    description:
      'Leases up to `max` jobs of the named queues and types (absent: any) by priority, then age. With `waitMs` it waits for the first one; nothing there is 200 with `jobs: []`. A caller that hangs up is leased nothing. A repeat under the same `Idempotency-Key` gives the same leases.',
    answer: 'ClaimAnswer',
    keyed: true,
    searches: true,
    example: { workerId: 'me', types: ['report'] },
  },
  'POST /v1/jobs/{id}/heartbeat': {
    ...byWorker(
      'heartbeat',
      'Renew a lease',
      'Tells that the process lives; that the work moves is told by progress, a changed `checkpoint` or `state`. Send one at a third of the lease.',
      {},
    ),
    answer: 'HeartbeatAnswer',
  },
  'POST /v1/jobs/{id}/progress': byWorker(
    'recordProgress',
    'Report progress',
    'Increments (`processed`, `failed`, `skipped`) or the absolute `current`. Each `batchId` counts once for its run and attempt, so a repeat is harmless.',
    { batchId: 'page-1', processed: 1, total: 3 },
  ),
  'POST /v1/jobs/{id}/complete': byWorker('completeJob', 'Complete a job', 'Ends the run with its result.', {
    result: { ok: true },
  }),
  'POST /v1/jobs/{id}/fail': byWorker(
    'failJob',
    'Fail an attempt',
    'Another follows after a delay (`policy.retry`) while `maxAttempts` allows; `retryable: false` ends the run at once, as a dead letter.',
    { code: 'RenderError', message: 'page a has no text' },
  ),
  'POST /v1/jobs/{id}/throttle': byWorker(
    'throttleJob',
    'Come back later',
    'Somebody else is overloaded: the job is scheduled again at no cost in attempts.',
    { retryAfterMs: 30_000 },
  ),
  'POST /v1/jobs/{id}/wait': byWorker(
    'waitJob',
    'Wait for a person',
    'Ends the lease; the job waits until `resume`, at the latest until `until` or `policy.waitLimitMs`.',
    { reason: 'approval' },
  ),
  'POST /v1/jobs/{id}/release': byWorker('releaseJob', 'Give a job back', 'To its queue, at no cost in attempts.', {
    reason: 'shutdown',
  }),
  'POST /v1/jobs/{id}/logs': byWorker(
    'writeLogs',
    'Write log lines',
    'Lines of the attempt. Touches no state and renews no lease.',
    {
      lines: [{ level: 'info', message: 'page a is done' }],
    },
  ),
};

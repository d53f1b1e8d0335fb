import { answer, type ScriptedLedger } from './scripted-ledger.js';

/** Lease of the jobs below. The worker beats at a third of it, and waits at most so long for the answer. */
const LEASE_MS = 36_000;
export const BEAT_MS = 12_000;
export const BEAT_TIMEOUT_MS = 10_000;
export const CLAIM = 'POST /v1/claims';

export const beatAnswer = (directive = 'continue'): ReturnType<typeof answer> =>
  answer({ leaseExpiresAt: '2026-01-31T12:00:00.000Z', directive });

/** A job as a claim gives it. */
export const claimedJob = (id: string, checkpoint: unknown = null, type = 'resize'): Record<string, unknown> => ({
  job: { id, type, payload: { name: id }, policy: { leaseMs: LEASE_MS } },
  attempt: 1,
  leaseToken: `token-${id}`,
  leaseExpiresAt: '2026-01-31T12:00:00.000Z',
  checkpoint,
  credentials: [],
});

export const claims = (...jobs: Record<string, unknown>[]): ReturnType<typeof answer> => answer({ jobs, blocked: [] });

/** Takes every call about a job. */
export const acceptAll = (ledger: ScriptedLedger, id: string): void => {
  for (const name of ['progress', 'complete', 'fail', 'throttle', 'wait', 'release', 'logs']) {
    ledger.script(`POST /v1/jobs/${id}/${name}`, answer({ jobId: id, status: 'whatever', events: [name] }));
  }
  ledger.script(`POST /v1/jobs/${id}/heartbeat`, beatAnswer());
};

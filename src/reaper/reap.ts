/** How a reap gets into the pipeline: the way of any command, with what it was judged on. */
import { performance } from 'node:perf_hooks';
import { UNCONDITIONAL, type Outcome } from '../commands/envelope.js';
import type { Claims } from '../commands/claims.js';
import type { Pipeline } from '../commands/pipeline.js';
import { beginSpan } from '../tracing.js';
import { v7 } from '../commands/uuid.js';
import type { ReapJob } from './reap.saga.js';

/** A reap that is not appended after this long is an error of its sweep; the next one finds the job again. */
const REAP_TIMEOUT_MS = 10_000;

/** @param instanceId the reaper's, shown as the actor */
export const reapWith =
  (pipeline: Pipeline, claims: Pick<Claims, 'endOf'>, instanceId: string) =>
  async ({ jobId, rule, command, beats, revision, askedBy, workerId }: ReapJob): Promise<Outcome> => {
    // Before the job is queued again: else it would go back to the worker that just lost it.
    if (rule === 'lease_expired' && workerId !== null) claims.endOf(workerId);
    const actor = { type: 'reaper', id: instanceId } as const;
    const { span, traceparent } = beginSpan('reap', null, { attributes: { 'jobledger.job_id': jobId } });
    const origin = { actor, commandId: v7(), correlationId: null, traceparent, ...askedBy };
    const member = { jobId, command, origin, ...UNCONDITIONAL, ifMatch: revision, fenceBeats: beats };
    const deadline = performance.now() + REAP_TIMEOUT_MS;
    const group = { members: [member], idempotency: null, dropRefused: false, deadline, unbounded: true as const };
    try {
      return (await pipeline.submit(group, 0))[0] as Outcome;
    } finally {
      span.end();
    }
  };

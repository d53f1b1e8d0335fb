/** What operators do to a job by hand, in words. */
import type { CallDescription } from './calls.js';

const byOperator = (id: string, summary: string, description: string): CallDescription => ({
  ...{ id, tag: 'Operations', summary, description, answer: 'CommandAnswer', keyed: true },
  example: { reason: 'its worker hangs' },
});

export const OPERATOR_CALLS: Readonly<Record<string, CallDescription>> = {
  'POST /v1/admin/jobs/{id}/force-fail': byOperator(
    'forceFailJob',
    'Fail a job by hand',
    'Of a job that is claimed, running, waiting, finalizing or cancelling: its run fails with the error `ManualTimeout`, and its worker is refused from then on. It is no dead letter.',
  ),
  'POST /v1/admin/jobs/{id}/cancel': byOperator(
    'cancelJobByOperator',
    'Cancel any job',
    'As a client cancels its own; with `force` without waiting for the worker.',
  ),
  'POST /v1/admin/jobs/{id}/requeue': byOperator(
    'requeueJob',
    'Queue a job again',
    'Takes a claimed or running job away from its worker, in the same run and at no cost in attempts; gives a dead letter a new run.',
  ),
  'POST /v1/admin/jobs/{id}/emergency-stop': byOperator(
    'emergencyStopJob',
    'Stop a job at once',
    'Whatever it is doing, its run fails with the error `EmergencyStop`. Nothing happens to a job that has ended: 200 with no events, and its status.',
  ),
};

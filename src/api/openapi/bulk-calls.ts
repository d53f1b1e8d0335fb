/** Many commands in one request, in words. */
import type { CallDescription } from './calls.js';

const EXAMPLE_ID = '0199d2a4-7c00-7000-8000-000000000001';

export const BULK_CALLS: Readonly<Record<string, CallDescription>> = {
  'POST /v1/commands': {
    id: 'sendCommands',
    tag: 'Jobs',
    summary: 'Send many commands',
    description:
      'Up to 1,000 commands on jobs: each is the name and the body of a call `/v1/jobs/{id}/…`, and `commandId` is its `Idempotency-Key`, the same one there and here. Each has a result of its own, in order, with the status that its own call would have had; one that fails stops no other. Commands on one job apply in order. The `Idempotency-Key` of the request holds for the commands that give no `commandId`.',
    answer: 'SendCommandsAnswer',
    keyed: true,
    example: {
      commands: [
        { command: 'priority', jobId: EXAMPLE_ID, commandId: 'sooner-1', priority: 10 },
        { command: 'cancel', jobId: EXAMPLE_ID, reason: 'no longer needed' },
      ],
    },
  },
};

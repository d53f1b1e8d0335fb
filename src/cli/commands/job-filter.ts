/** Which jobs: options that lists and streams share. The service says which values they take. */
import type { JobFilter, JobStatus } from '../../client/client.js';
import type { Option } from '../command.js';
import type { Values } from '../values.js';

export const JOB_FILTER_OPTIONS = {
  status: { value: 'STATUS', repeatable: true, help: 'jobs that stand there' },
  type: { value: 'TYPE', repeatable: true, help: 'of this type' },
  queue: { value: 'QUEUE', repeatable: true, help: 'of this queue' },
  tag: { value: 'TAG', repeatable: true, help: 'with this tag' },
} as const satisfies Record<string, Option>;

export const readJobFilter = (values: Values<keyof typeof JOB_FILTER_OPTIONS>): JobFilter => ({
  status: values.texts('status') as readonly JobStatus[] | undefined,
  type: values.texts('type'),
  queue: values.texts('queue'),
  tag: values.texts('tag'),
});

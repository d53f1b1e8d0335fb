/** The rows of jobs, computed from events: what appends write inline, for a projection that is made anew beside them. */
import type { Projection } from '../projection.js';
import { JobsFold } from './jobs-fold.js';

const asIs = (...columns: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(columns.map((column) => [column, column]));

export const JOBS: Projection = {
  name: 'jobs',
  version: 1,
  inline: true,
  tables: [
    {
      name: 'jobs',
      key: { id: 'uuid' },
      fields: {
        ...asIs('type', 'queue', 'status', 'priority', 'tags', 'run', 'attempt', 'leased', 'dead_lettered'),
        ...asIs('revision', 'position', 'created_at', 'status_since', 'ready_at', 'wake_at', 'last_event_at'),
        ...asIs('last_activity_at', 'last_activity_position'),
        doc: 'doc::jsonb',
        payload: 'payload::jsonb',
        result: 'result::jsonb',
        checkpoint: 'checkpoint::jsonb',
        progress: 'progress',
        saved_progress: 'saved_progress',
        // Of rows beside a log elsewhere; null here.
        work_revision: 'work_revision',
      },
    },
    { name: 'job_facts', key: { job_id: 'uuid', run: 'int', attempt: 'int', batch_id: 'text' }, fields: {} },
  ],
  apply: (events, tx) => {
    const fold = new JobsFold();
    fold.add(events);
    return fold.write(tx);
  },
  fold: () => new JobsFold(),
};

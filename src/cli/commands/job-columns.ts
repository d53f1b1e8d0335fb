/** A job as one row for people. */
import type { Job } from '../../client/client.js';
import { hasTag, isTerminal } from '../../domain/job-chart.js';
import type { Column } from '../table.js';
import type { Style } from '../terminal.js';
import { formatAttempt, formatDuration, formatInstant } from '../text.js';
import { waitingFor } from './waits-for.js';

export const statusStyle = ({ status, error }: Pick<Job, 'status' | 'error'>): Style | null => {
  if (isTerminal(status)) return error === null ? 'green' : 'red';
  if (hasTag(status, 'active')) return 'cyan';
  return hasTag(status, 'waiting') ? 'yellow' : null;
};

export const formatProgress = ({ processed, total, percent }: Job['progress']): string => {
  if (total !== null) return `${processed}/${total}`;
  if (percent !== null) return `${percent} %`;
  return processed === 0 ? '' : String(processed);
};

export const formatError = (error: Job['error']): string => (error === null ? '' : `${error.code}: ${error.message}`);

/** Who holds it, what it waits for, or what it failed with. */
const noteOf = ({ lease, waiting, error }: Job): string => {
  if (lease !== null) return lease.workerId;
  if (waiting !== null) {
    const { until } = waiting;
    return `${waitingFor(waiting)}${until === null ? '' : ` until ${formatInstant(until)}`}`;
  }
  return formatError(error);
};

/** @param now for ages, ms since 1970. */
export const jobColumns = (now: number): readonly Column<Job>[] => [
  { title: 'ID', value: ({ id }) => id },
  { title: 'STATUS', value: ({ status }) => status, style: statusStyle },
  {
    title: 'SINCE',
    value: ({ statusSince }) => formatDuration(Math.max(0, now - Date.parse(statusSince))),
    align: 'right',
    dispensable: 1,
  },
  { title: 'TYPE', value: ({ type }) => type, least: 8, dispensable: 2 },
  { title: 'QUEUE', value: ({ queue }) => queue, least: 8, dispensable: 3 },
  {
    title: 'ATTEMPT',
    value: ({ run, attempt }) => formatAttempt(run, attempt),
    align: 'right',
    dispensable: 5,
  },
  { title: 'PROGRESS', value: ({ progress }) => formatProgress(progress), align: 'right', dispensable: 4 },
  { title: 'WORKER, WAIT OR ERROR', value: noteOf, least: 12, dispensable: 2 },
];

/** What is to be seen of a catalogue while it is made: all of it, and each worker. */
import { bar, fit, formatBytes, formatCount, formatSeconds, printable } from '../text.js';
import type { Picture } from './display.js';
import type { RunView } from './run-view.js';

export interface WatchedWorker {
  readonly id: string;
  /** What became of it, when it no longer works. */
  readonly fate: () => string | null;
}

const BAR_WIDTH = 24;

const totals = (view: RunView) => ({
  entries: view.sum(({ plan }) => plan.entries),
  processed: view.sum(({ processed }) => processed),
  bytes: view.sum(({ bytes }) => bytes),
});

const elapsedMs = (view: RunView): number => (view.firstClaimAt === null ? 0 : performance.now() - view.firstClaimAt);

const workDone = (view: RunView): string => {
  const { entries, processed, bytes } = totals(view);
  return (
    `${formatCount(view.completed)} of ${formatCount(view.planned)} jobs, ` +
    `${formatCount(processed)} of ${formatCount(entries)} files, ${formatBytes(bytes)}`
  );
};

const whatHappened = (view: RunView): string =>
  `${formatCount(view.events)} events, ${view.lostLeases} lost leases, ${view.refusals} refused calls, ` +
  formatSeconds(elapsedMs(view));

const workerLine = ({ id, fate }: WatchedWorker, view: RunView): string => {
  const name = id.slice(id.lastIndexOf('/') + 1).padEnd(9);
  const job = view.heldBy(id);
  const ended = fate();
  if (ended !== null) return `  ${name} ${ended}${job === undefined ? '' : `, holds ${printable(job.plan.name)}`}`;
  if (job === undefined) return `  ${name} idle`;
  const { entries, name: folder } = job.plan;
  const ratio = entries === 0 ? 1 : job.processed / entries;
  return `  ${name} ${bar(ratio, BAR_WIDTH)} ${formatCount(job.processed)}/${formatCount(entries)} ${printable(folder)}`;
};

export const runPicture = (view: RunView, workers: readonly WatchedWorker[]): Picture => ({
  lines: () => {
    const { entries, processed } = totals(view);
    return [
      `  all       ${bar(entries === 0 ? 1 : processed / entries, BAR_WIDTH)} ${workDone(view)}`,
      `            ${whatHappened(view)}`,
      ...workers.map((worker) => workerLine(worker, view)),
    ];
  },
  line: () => `${workDone(view)}; ${whatHappened(view)}`,
});

export const shortName = (name: string): string => fit(printable(name), 40);

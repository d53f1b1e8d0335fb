/** What is to be seen of a replay while it goes on. */
import type { Picture } from '../demo/display.js';
import { bar, formatCount, formatDuration, formatSeconds } from '../text.js';
import type { ReplayView } from './replay-view.js';
import type { Submitter } from './submitter.js';

export interface ReplaySeen {
  readonly view: ReplayView;
  /** In all. */
  readonly jobs: number;
  readonly submitter: Pick<Submitter, 'submitted' | 'lateMs'>;
  readonly elapsedMs: () => number;
  readonly workers: readonly { readonly id: string; readonly name: string; readonly isLost: () => boolean }[];
}

const BAR_WIDTH = 24;
/** Below it nobody is late: a look at what is due takes so long. */
const LATE_MS = 1_000;

const counts = ({ view }: ReplaySeen): string =>
  [...view.byStatus]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([status, count]) => `${formatCount(count)} ${status}`)
    .join(', ');

const pace = ({ view, submitter, elapsedMs }: ReplaySeen): string => {
  const elapsed = elapsedMs();
  const perSecond = elapsed < 1 ? 0 : Math.round((view.ended * 1_000) / elapsed);
  const late = submitter.lateMs > LATE_MS ? `, ${formatDuration(submitter.lateMs)} behind the clock` : '';
  return `${formatCount(perSecond)} jobs/s, ${view.lostLeases} lost leases, ${formatSeconds(elapsed)}${late}`;
};

const done = ({ view, jobs }: ReplaySeen): string => `${formatCount(view.ended)} of ${formatCount(jobs)} jobs`;

export const replayPicture = (seen: ReplaySeen): Picture => {
  const { view, jobs, submitter, workers } = seen;
  const waiting = (): number => Math.max(0, submitter.submitted - view.ended - view.running);
  const open = (): string => `${formatCount(waiting())} waiting, ${formatCount(view.running)} running`;
  return {
    lines: () => [
      `  all       ${bar(jobs === 0 ? 1 : view.ended / jobs, BAR_WIDTH)} ${done(seen)}`,
      `            ${open()}, ${counts(seen)}`,
      `            ${pace(seen)}`,
      ...workers.map(({ id, name, isLost }) => {
        const fate = isLost() ? 'killed' : `${formatCount(view.heldBy(id).length).padStart(5)} running`;
        return `  ${name.padEnd(9)} ${fate}, ${formatCount(view.finishedBy(id))} ended`;
      }),
    ],
    line: () => `${done(seen)} ended; ${open()}; ${counts(seen)}; ${pace(seen)}`,
  };
};

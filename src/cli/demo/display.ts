/**
 * The run while it goes on: on a terminal a few lines that are drawn again, elsewhere a line every two seconds. What
 * is said once scrolls past above them.
 */
import type { WriteStream } from 'node:tty';
import type { RunView } from './run-view.js';
import { bar, fit, formatBytes, formatCount, formatSeconds, printable } from './text.js';

export interface Display {
  /** One line that stays. */
  readonly say: (line: string) => void;
  /** Draws the run from now on. */
  readonly watch: (view: RunView, workers: readonly WatchedWorker[]) => void;
  /** Draws it no more; what was drawn last stays. */
  readonly end: () => void;
}

export interface WatchedWorker {
  readonly id: string;
  /** What became of it, when it no longer works. */
  readonly fate: () => string | null;
}

const REDRAW_MS = 100;
const LINE_MS = 2_000;
const BAR_WIDTH = 24;
/** Of terminals that do not say. */
const USUAL_WIDTH = 100;

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

const lines = (view: RunView, workers: readonly WatchedWorker[]): string[] => {
  const { entries, processed } = totals(view);
  return [
    `  all       ${bar(entries === 0 ? 1 : processed / entries, BAR_WIDTH)} ${workDone(view)}`,
    `            ${whatHappened(view)}`,
    ...workers.map((worker) => workerLine(worker, view)),
  ];
};

const terminalDisplay = (out: WriteStream): Display => {
  let drawn = 0;
  let draw = (): void => undefined;
  let timer: NodeJS.Timeout | undefined;
  const erase = (): string => (drawn === 0 ? '' : `\u001b[${drawn}A\u001b[0J`);
  return {
    say: (line) => {
      out.write(`${erase()}${line}\n`);
      drawn = 0;
      draw();
    },
    watch: (view, workers) => {
      draw = () => {
        const width = (out.columns || USUAL_WIDTH) - 1;
        const now = lines(view, workers).map((line) => (line.length <= width ? line : line.slice(0, width)));
        out.write(`${erase()}${now.join('\n')}\n`);
        drawn = now.length;
      };
      timer = setInterval(() => draw(), REDRAW_MS);
    },
    end: () => {
      clearInterval(timer);
      draw();
      draw = () => undefined;
      drawn = 0;
    },
  };
};

const plainDisplay = (out: NodeJS.WritableStream): Display => {
  let timer: NodeJS.Timeout | undefined;
  const say = (line: string): void => void out.write(`${line}\n`);
  return {
    say,
    watch: (view) => {
      timer = setInterval(() => say(`${workDone(view)}; ${whatHappened(view)}`), LINE_MS);
    },
    end: () => clearInterval(timer),
  };
};

/** @param out standard output. */
export const createDisplay = (out: NodeJS.WriteStream): Display =>
  out.isTTY ? terminalDisplay(out) : plainDisplay(out);

export const shortName = (name: string): string => fit(printable(name), 40);

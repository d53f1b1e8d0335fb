/** A soak for people: while it runs, and when it is over. */
import type { Picture } from '../../src/cli/demo/display.js';
import { bar, columns, formatCount, formatDuration, formatSeconds } from '../../src/cli/text.js';
import type { SoakArguments } from './arguments.js';
import type { MadeFault } from './saboteur.js';
import type { Progress } from './soak.js';

const BAR_WIDTH = 24;

const byKind = (faults: readonly MadeFault[]): Map<string, MadeFault[]> => {
  const kinds = new Map<string, MadeFault[]>();
  for (const fault of faults) kinds.set(fault.name, [...(kinds.get(fault.name) ?? []), fault]);
  return kinds;
};

const lasting = (faults: readonly MadeFault[]): string =>
  faults
    .filter(({ ms }) => ms === null)
    .map(({ name, node }) => (node === null ? name : `${name} ${node}`))
    .join(', ');

const doneOf = ({ minutes, lifecycles }: SoakArguments, elapsedMs: number, progress: Progress): number =>
  lifecycles === null ? elapsedMs / (minutes * 60_000) : progress.lifecycles / lifecycles;

export const pictureOf = (asked: SoakArguments, elapsedMs: () => number, progress: () => Progress): Picture => {
  const counts = ({ lifecycles, calls, violations }: Progress): string =>
    `${formatCount(lifecycles)} lifecycles, ${formatCount(calls.sent)} calls, ${violations} violations`;
  return {
    lines: () => {
      const now = progress();
      const ms = elapsedMs();
      const counted = [...byKind(now.faults)].map(([name, { length }]) => `${name} ${length}`).join(' · ');
      return [
        `${bar(doneOf(asked, ms, now), BAR_WIDTH)} ${formatDuration(ms)}, part ${now.parts + 1}: ${now.step}`,
        `  ${counts(now)}, ${(now.lifecycles / (ms / 1_000)).toFixed(1)}/s`,
        `  faults: ${counted === '' ? 'none yet' : counted}`,
        `  now: ${lasting(now.faults)}`,
      ];
    },
    line: () => {
      const now = progress();
      return `${formatDuration(elapsedMs())} part ${now.parts + 1} (${now.step}): ${counts(now)}, ${now.faults.length} faults; now: ${lasting(now.faults) || 'none'}`;
    },
  };
};

const faultRows = (faults: readonly MadeFault[]): readonly (readonly string[])[] =>
  [...byKind(faults)]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, made]) => {
      const total = made.reduce((sum, { ms }) => sum + (ms ?? 0), 0);
      return [name, formatCount(made.length), formatSeconds(total), formatSeconds(total / made.length)];
    });

/** What was done, what was asked, what was found. */
export const report = (asked: SoakArguments, elapsedMs: number, progress: Progress): readonly string[] => {
  const { parts, jobs, lifecycles, events, calls, resumedStreams, faults, violations } = progress;
  return [
    ...columns([['fault', 'times', 'lasted', 'each'], ...faultRows(faults)]),
    '',
    ...columns([
      ['took', formatDuration(elapsedMs)],
      ['parts judged', formatCount(parts)],
      ['jobs created', formatCount(jobs)],
      ['lifecycles', formatCount(lifecycles)],
      ['calls', formatCount(calls.sent)],
      ['  outcome unknown', formatCount(calls.unknown)],
      ['  refused (4xx)', formatCount(calls.refused)],
      ['  not now (503)', formatCount(calls.notNow)],
      ['events judged', formatCount(events)],
      ['streams resumed', formatCount(resumedStreams)],
      ['faults', formatCount(faults.length)],
      ['violations', formatCount(violations)],
    ]),
    '',
    `seed ${asked.seed}, log ${asked.log}: ${violations === 0 ? 'no rule was broken' : 'RULES WERE BROKEN'}`,
  ];
};

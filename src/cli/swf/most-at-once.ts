/** How many jobs of a log ran at the same time at most. */
import type { LoggedJob } from './workload.js';

/** Jobs that did not run are left out; one that ends in the second in which another starts has ended before. */
export const mostAtOnce = (jobs: readonly LoggedJob[]): number => {
  const ran = jobs.filter(({ run }) => run > 0);
  const starts = ran.map(({ submit, wait }) => submit + wait).sort((a, b) => a - b);
  const ends = ran.map(({ submit, wait, run }) => submit + wait + run).sort((a, b) => a - b);
  let most = 0;
  let ended = 0;
  for (const [at, start] of starts.entries()) {
    while (ends[ended]! <= start) ended += 1;
    most = Math.max(most, at + 1 - ended);
  }
  return most;
};

/**
 * How much of what waits goes into the next batch, by what callers and the log do at once. Whoever forms batches asks it:
 * the pipeline for commands, a log for the requests of its callers.
 */

/**
 * Two batches in flight pay from here on: one is sent while the server works on the other. Each takes half of what is
 * there, so that callers who wait for their answers keep both filled, and the second one waits until it is half of that:
 * a batch costs as much as 15 commands in it.
 */
const SECOND_FROM = 24;

/** Of one batch: what it costs beside what is in it is 4 % by then. */
const MOST = 250;

/** @returns how many may go now; 0: the next batch waits. */
export const nextBatchSize = (waiting: number, sent: number, inFlight: number): number => {
  const there = waiting + sent;
  const most = there < SECOND_FROM ? MOST : Math.min(MOST, Math.ceil(there / 2));
  if (waiting === 0 || inFlight >= 2) return 0;
  return inFlight === 0 || (there >= SECOND_FROM && waiting >= most / 2) ? most : 0;
};

/** Counts follow the log: how far behind they are is said beside them, when it is worth saying. */
import { type JobledgerClient, ProblemError } from '../../client/client.js';
import { isAway, whyAway } from '../away.js';
import type { Terminal } from '../terminal.js';
import { formatCount, formatDuration } from '../text.js';

/** They follow at most every 200 ms. */
const BEHIND_MS = 2_000;

/** Undefined: nothing to say. */
const lagOf = async (ledger: JobledgerClient): Promise<string | undefined> => {
  const { items } = await ledger.projections();
  const counters = items.find(({ name }) => name === 'counters');
  if (counters === undefined) return 'nothing was counted yet: no process has run projections';
  if (counters.lagMs < BEHIND_MS) return undefined;
  const behind = `${formatDuration(counters.lagMs)} behind the log, ${formatCount(counters.lagEvents)} events`;
  return `these counts are ${behind}: ${counters.lastError ?? 'does a process run projections?'}`;
};

/** Whoever may not look at projections is told of what readiness names: half a minute and more. */
const lagOfAnybody = async (ledger: JobledgerClient): Promise<string | undefined> => {
  const { projections } = (await ledger.ready()).checks;
  return projections === undefined || projections.status === 'ok' ? undefined : (projections.detail ?? undefined);
};

/** It stands beside an answer, from which it takes nothing that it cannot be told. */
export const noteLag = async (ledger: JobledgerClient, terminal: Terminal): Promise<void> => {
  try {
    const lag = await lagOf(ledger).catch((error: unknown) => {
      if (error instanceof ProblemError && error.code === 'forbidden') return lagOfAnybody(ledger);
      throw error;
    });
    if (lag !== undefined) terminal.note(lag);
  } catch (error) {
    if (isAway(error)) terminal.note(`how far these counts are behind the log is not known: ${whyAway(error)}`);
    else if (!(error instanceof ProblemError)) throw error;
  }
};

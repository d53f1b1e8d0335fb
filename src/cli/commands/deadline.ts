/** When a rule ends or moves a job, and, where that is over, why nothing came of it. */
import { type Job, type JobledgerClient, ProblemError } from '../../client/client.js';
import { formatDuration, formatInstant } from '../text.js';

/** A reaper that is well handles a job within a second or two of its deadline. */
const LATE_MS = 5_000;

/** Null: it is not told, to whoever asks or at all. What is known of the job is shown nevertheless. */
const whyNothingCame = async (ledger: JobledgerClient): Promise<string | null> => {
  try {
    const { leader } = await ledger.reaper();
    return leader === null
      ? 'no reaper leads (`jobledger reaper status`)'
      : 'the reaper has not handled it yet, `jobledger reaper sweep` says why';
  } catch (error) {
    if (error instanceof ProblemError) return null;
    throw error;
  }
};

/**
 * Null: nothing bounds the job, or it is shown as it was.
 * @param now ms since 1970
 */
export const deadlineOf = async (ledger: JobledgerClient, { deadline }: Job, now: number): Promise<string | null> => {
  if (deadline === null) return null;
  const told = `${deadline.rule} at ${formatInstant(deadline.at)}`;
  const lateMs = now - Date.parse(deadline.at);
  if (lateMs <= LATE_MS) return told;
  const why = await whyNothingCame(ledger);
  return `${told} is over by ${formatDuration(lateMs)}${why === null ? '' : `: ${why}`}`;
};

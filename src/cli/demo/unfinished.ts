/** What a run that did not come to its end leaves behind, and why it did not. */
import type { JobledgerClient } from '../../client/client.js';
import { JOB_STATUSES, isTerminal } from '../../domain/job-chart.js';
import { formatSeconds } from '../text.js';

/** Thrown when a run cannot be brought to its end. */
export class RunFailed extends Error {}

const PAGE = 200;
const AT_ONCE = 32;
const LIMIT_MS = 5_000;
const UNFINISHED = JOB_STATUSES.filter((status) => !isTerminal(status));

/** So that a service that stays is left with no job that nobody will do. */
const cancelUnfinished = async (client: JobledgerClient, queue: string): Promise<void> => {
  const options = { deadlineMs: LIMIT_MS };
  const ids: string[] = [];
  const ofRun = (cursor?: string) =>
    client.listJobs({ queue: [queue], status: UNFINISHED, limit: PAGE, cursor }, options);
  for await (const { id } of client.everyItem(ofRun)) ids.push(id);
  const cancelSome = async (): Promise<void> => {
    for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
      await client.cancel(id, { force: true, reason: 'the demo has ended' }, options);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, cancelSome));
};

/** @param complaints of the workers. */
export const nothingHappens = async (
  client: JobledgerClient,
  forMs: number,
  complaints: string,
): Promise<RunFailed> => {
  const ready = await client.ready({ deadlineMs: 0 }).catch(() => null);
  const checks = Object.entries(ready?.checks ?? {}).filter(([, { status }]) => status !== 'ok');
  const troubles = checks.map(([name, { status, detail }]) => `${name} is ${status}: ${detail ?? ''}`);
  const service = ready === null ? 'the service does not answer' : troubles.join('; ') || 'the service is ready';
  return new RunFailed(`nothing has happened for ${formatSeconds(forMs)}: ${service}\n${complaints}`);
};

/** A run of a demo, as its end is brought about. */
interface Run {
  readonly queue: string;
  readonly abandon: () => Promise<void>;
  readonly close: () => void;
}

/**
 * Brings a run to its end, or leaves nothing of it behind.
 * @param leavesService whether the service stays: then jobs that nobody will do are cancelled
 */
export const toItsEnd = async <Result>(
  run: Run,
  client: JobledgerClient,
  leavesService: boolean,
  say: (line: string) => void,
  work: () => Promise<Result>,
): Promise<Result> => {
  try {
    return await work();
  } catch (error) {
    await run.abandon();
    if (leavesService)
      await cancelUnfinished(client, run.queue).catch(() => say(`jobs are left in queue ${run.queue}`));
    throw error;
  } finally {
    run.close();
  }
};

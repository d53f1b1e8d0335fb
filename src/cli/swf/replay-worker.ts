/** One worker of a replay, in a process of its own: runs each job for as long as it ran, and ends it as it ended. */
import { setTimeout as sleep } from 'node:timers/promises';
import { AttemptAbortedError, type AttemptContext, type Job, NonRetryableError } from '../../client/client.js';
import { readSetup, type WorkerSetup } from '../demo/messages.js';
import { Gate, runWorkerProcess } from '../demo/worker-process.js';
import type { FailureDetail, ReplayPayload } from './replayed-job.js';

export interface ReplaySetup extends WorkerSetup {
  /** Of a second of the log. */
  readonly msPerSecond: number;
  readonly concurrency: number;
}

/** To the demo: it waits with this job. */
export interface WaitingWith {
  readonly jobId: string;
}

/** Node's timers take no more. */
const LONGEST_TIMER_MS = 2_000_000_000;

const setup = readSetup(process.env) as ReplaySetup;
const gate = new Gate(false);

const runFor = async (ms: number, signal: AbortSignal): Promise<void> => {
  for (let left = ms; left > 0; left -= LONGEST_TIMER_MS) {
    await sleep(Math.min(left, LONGEST_TIMER_MS), undefined, { signal });
  }
};

/** Tells how long it has run, and goes on until it is cancelled. */
const awaitCancel = async ({ progress, signal }: AttemptContext, processed: number): Promise<never> => {
  await progress({ processed });
  return new Promise<never>((_, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
};

const run = async (job: Job, context: AttemptContext): Promise<object> => {
  const { line, job: number, runSeconds, finish } = job.payload as ReplayPayload;
  const { signal } = context;
  try {
    await runFor(runSeconds * setup.msPerSecond, signal);
  } catch (error) {
    // Cancelled before this attempt came as far as one that was lost: the job ran as long as it ran.
    const isCancelled = signal.reason instanceof AttemptAbortedError && signal.reason.why === 'cancel';
    if (isCancelled && finish === 'await-cancel') await context.progress({ processed: runSeconds });
    throw error;
  }
  if (gate.isClosed) {
    process.send?.({ jobId: job.id } satisfies WaitingWith);
    await gate.passed();
  }
  switch (finish) {
    case 'complete':
      return { line, runSeconds };
    case 'fail':
      throw new NonRetryableError(`job ${number} failed in the log`, {
        code: 'FailedInLog',
        detail: { runSeconds } satisfies FailureDetail,
      });
    case 'await-cancel':
      return awaitCancel(context, runSeconds);
  }
};

runWorkerProcess(setup, setup.concurrency, gate, run);

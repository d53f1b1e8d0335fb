/**
 * Commands that are on their way together go in one request. There is no timer: the first goes at once, and what is asked
 * for while requests are in flight makes up the next one. Each command keeps its own key, deadline, tries and error; what
 * spoils a whole request (a value in one of its commands that is no JSON to the ledger, a size, a ledger that has no such
 * call) sends each command on by itself, so that only the one at fault is refused.
 */
import type { CommandAnswer, CommandResult, HeartbeatAnswer, Problem, SendCommandsAnswer } from '../api/contract.js';
import type { Answer } from './answer.js';
import { toProblemError, UnavailableError } from './errors.js';
import { requireKnown, requireWhole } from './require.js';

/** How commands on jobs go together. Those with `ifMatch` go alone. */
export interface BatchOptions {
  /** Most commands in one request: 1–1,000. Default 100. */
  readonly maxCommands?: number;
  /** Most requests in flight; what comes meanwhile waits for one of them: 1–64. Default 2. */
  readonly maxRequests?: number;
}

/** One command on one job. */
export interface BatchedCommand {
  readonly name: string;
  readonly jobId: string;
  readonly key: string | undefined;
  /** Its body as JSON. */
  readonly body: string;
}

/** Makes one try over HTTP. */
type Try = (signal: AbortSignal) => Promise<Answer>;

interface Waiting {
  readonly text: string;
  readonly alone: Try;
  readonly signal: AbortSignal;
  readonly settle: (answer: Answer | Promise<Answer>) => void;
}

const OPTIONS: readonly (keyof BatchOptions)[] = ['maxCommands', 'maxRequests'];
const MAX_COMMANDS = 1_000;
const MAX_REQUESTS = 64;
/** Characters of a request: at most three bytes each, it stays below the ledger's 16 MiB. */
const MAX_CHARS = 4_000_000;

const JOB_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** What a `commandId` may be; an `Idempotency-Key` may be more. */
const COMMAND_ID = /^[A-Za-z0-9._:/-]{1,120}$/;

/** @throws RangeError that names the option that is wrong, what it takes, and what it was given. */
export const checkBatchOptions = (options: BatchOptions): void => {
  requireKnown('batch', options, OPTIONS);
  requireWhole('batch.maxCommands', options.maxCommands, 1, MAX_COMMANDS);
  requireWhole('batch.maxRequests', options.maxRequests, 1, MAX_REQUESTS);
};

/** Whether it says the same among others as it says alone. */
export const isBatchable = ({ jobId, key }: BatchedCommand): boolean =>
  JOB_ID.test(jobId) && (key === undefined || COMMAND_ID.test(key));

const textOf = ({ name, jobId, key, body }: BatchedCommand): string => {
  const head = JSON.stringify({ command: name, jobId, commandId: key }).slice(0, -1);
  return body === '{}' ? `${head}}` : `${head},${body.slice(1)}`;
};

/** A problem as the command alone would have had it: paths without its place among others. */
const ownProblem = (problem: Problem, index: number): Problem => {
  const own = (text: string): string => text.replaceAll(`commands[${index}].`, '');
  const errors = problem.errors?.map(({ path, message }) => ({ path: own(path), message: own(message) }));
  return { ...problem, detail: own(problem.detail), ...(errors === undefined ? {} : { errors }) };
};

const answerOf = ({ answer, problem }: CommandResult, index: number): Answer =>
  problem === undefined
    ? { kind: 'answered', body: answer satisfies CommandAnswer | HeartbeatAnswer | undefined }
    : { kind: 'refused', error: toProblemError(ownProblem(problem, index)), retryAfterMs: 0 };

export class CommandBatches {
  readonly #send: (body: string, signal: AbortSignal) => Promise<Answer>;
  readonly #maxCommands: number;
  readonly #maxRequests: number;
  #waiting: Waiting[] = [];
  #inFlight = 0;
  #scheduled = false;

  /** @param send makes one try of `POST /v1/commands`. */
  constructor(
    send: (body: string, signal: AbortSignal) => Promise<Answer>,
    { maxCommands = 100, maxRequests = 2 }: BatchOptions,
  ) {
    this.#send = send;
    this.#maxCommands = maxCommands;
    this.#maxRequests = maxRequests;
  }

  /**
   * One try of a command.
   * @param alone the same try by itself.
   * @throws the reason of the signal, when that aborts first.
   */
  try(command: BatchedCommand, alone: Try, signal: AbortSignal): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting = this.#waiting.filter((each) => each !== waiting);
        reject(signal.reason as Error);
      };
      const settle = (answer: Answer | Promise<Answer>): void => {
        signal.removeEventListener('abort', onAbort);
        resolve(answer);
      };
      const waiting: Waiting = { text: textOf(command), alone, signal, settle };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiting);
      this.#schedule();
    });
  }

  /** After all that asks in this instant has asked. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      while (this.#waiting.length > 0 && this.#inFlight < this.#maxRequests) void this.#sendOff(this.#take());
    });
  }

  /** As many as fit, in their order; one at least. */
  #take(): readonly Waiting[] {
    let chars = 0;
    const beyond = this.#waiting.findIndex(({ text }, index) => {
      chars += text.length;
      return index > 0 && (index >= this.#maxCommands || chars > MAX_CHARS);
    });
    return this.#waiting.splice(0, beyond === -1 ? this.#waiting.length : beyond);
  }

  async #sendOff(batch: readonly Waiting[]): Promise<void> {
    this.#inFlight += 1;
    try {
      if (batch.length === 1) await byThemselves(batch);
      else await this.#together(batch);
    } finally {
      this.#inFlight -= 1;
      this.#schedule();
    }
  }

  async #together(batch: readonly Waiting[]): Promise<void> {
    const abort = new AbortController();
    let left = batch.length;
    // A request goes on while anybody waits for it.
    const onAbort = (): void => {
      left -= 1;
      if (left === 0) abort.abort();
    };
    for (const { signal } of batch) signal.addEventListener('abort', onAbort, { once: true });
    let answer: Answer;
    try {
      answer = await this.#send(`{"commands":[${batch.map(({ text }) => text).join(',')}]}`, abort.signal);
    } catch (cause) {
      answer = { kind: 'lost', cause, retryAfterMs: 0 };
    }
    for (const { signal } of batch) signal.removeEventListener('abort', onAbort);
    if (answer.kind === 'refused' && !(answer.error instanceof UnavailableError)) return byThemselves(batch);
    const results =
      answer.kind === 'answered' ? (answer.body as Partial<SendCommandsAnswer> | null)?.results : undefined;
    if (answer.kind === 'answered' && results?.length !== batch.length) {
      answer = { kind: 'lost', cause: new Error('not one result for each command'), retryAfterMs: 0 };
    }
    for (const [index, { settle }] of batch.entries()) {
      settle(answer.kind === 'answered' ? answerOf(results![index]!, index) : answer);
    }
  }
}

const byThemselves = async (batch: readonly Waiting[]): Promise<void> => {
  await Promise.allSettled(
    batch.map(async ({ alone, signal, settle }) => {
      if (signal.aborted) return;
      const answer = alone(signal);
      settle(answer);
      await answer;
    }),
  );
};

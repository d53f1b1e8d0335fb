/** What a worker is made of, and what is refused. */
import type { Handler } from './attempt.js';
import type { JobledgerClient } from './client.js';
import { refuse, requireKnown, requireWhole } from './require.js';
import { LISTENERS, type WorkerListeners } from './worker-listeners.js';

/** Options of a worker. Durations in milliseconds. */
export interface WorkerOptions {
  readonly client: JobledgerClient;
  /** Shown on leases and events. Unique among live workers. 1–120 of `[A-Za-z0-9._:/-]`. */
  readonly workerId: string;
  /** Names of queues, at least one. Default any. */
  readonly queues?: readonly string[];
  /** Types of jobs, at least one. Default any. */
  readonly types?: readonly string[];
  /** Handlers at once, and jobs held: none is claimed ahead. 1–1,000, default 1. */
  readonly concurrency?: number;
  /** How long the ledger hears nothing before the job is another's; beats go at a third. 100–86,400,000, default the policy's. */
  readonly leaseMs?: number;
  /** How long a claim waits for a job. 0–60,000, default 20,000; below 1,000 an empty queue is asked once a second. */
  readonly waitMs?: number;
  /** How long `stop` lets handlers finish. Default 30,000. */
  readonly graceMs?: number;
  readonly handler: Handler;
  readonly listeners?: WorkerListeners;
}

const OPTIONS: readonly (keyof WorkerOptions)[] = [
  ...(['client', 'workerId', 'queues', 'types', 'concurrency', 'leaseMs', 'waitMs', 'graceMs'] as const),
  ...(['handler', 'listeners'] as const),
];

const NAME = /^[A-Za-z0-9._:/-]{1,120}$/;
const NAME_TAKES = '1–120 characters of [A-Za-z0-9._:/-]';

const isName = (value: unknown): boolean => typeof value === 'string' && NAME.test(value);

const requireNames = (option: string, names: unknown): void => {
  if (names === undefined) return;
  if (!Array.isArray(names) || names.length === 0) {
    refuse(option, 'a list of at least one name, or left out for any', names);
  }
  const wrong = (names as unknown[]).findIndex((name) => !isName(name));
  if (wrong >= 0) refuse(`${option}[${wrong}]`, NAME_TAKES, (names as unknown[])[wrong]);
};

const requireListeners = (listeners: unknown): void => {
  if (listeners === undefined) return;
  if (typeof listeners !== 'object' || listeners === null) return refuse('listeners', 'an object', listeners);
  requireKnown('listeners', listeners, LISTENERS);
  for (const [name, listener] of Object.entries(listeners)) {
    if (listener !== undefined && typeof listener !== 'function') refuse(`listeners.${name}`, 'a function', listener);
  }
};

/** @throws RangeError that names the first option that is wrong, what it takes, and what it was given. */
export const checkWorkerOptions = (options: WorkerOptions): void => {
  if (typeof options !== 'object' || (options as unknown) === null) refuse('options of a Worker', 'an object', options);
  requireKnown('a Worker', options, OPTIONS);
  const { client, workerId, queues, types, concurrency, leaseMs, waitMs, graceMs, handler, listeners } = options;
  if (typeof (client as Partial<JobledgerClient> | undefined)?.claim !== 'function') {
    refuse('client', 'a JobledgerClient', client);
  }
  if (!isName(workerId)) refuse('workerId', NAME_TAKES, workerId);
  requireNames('queues', queues);
  requireNames('types', types);
  requireWhole('concurrency', concurrency, 1, 1_000);
  requireWhole('leaseMs', leaseMs, 100, 86_400_000);
  requireWhole('waitMs', waitMs, 0, 60_000);
  requireWhole('graceMs', graceMs, 0, 2_147_483_647);
  if (typeof handler !== 'function') refuse('handler', 'a function that is given (job, context)', handler);
  requireListeners(listeners);
};

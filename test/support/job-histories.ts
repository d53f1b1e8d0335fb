/** Logs of many jobs with random lives, as the service writes them, and what they come to when one just counts. */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { JobStatus } from '../../src/domain/job-chart.js';
import { evolve, type Job } from '../../src/domain/job.js';
import { jobStream, refusalsStream, workStream, type EventMetadata } from '../../src/domain/streams.js';
import type { AppendRequest, EventStore, JsonObject, NewEvent } from '../../src/event-store/event-store.js';
import { acts, beginnings, isTransition, perform, policies, type Entry } from './job-simulation.js';

/** A job with the appends of its life, in order. */
export interface JobHistory {
  readonly jobId: string;
  readonly queue: string;
  readonly type: string;
  readonly appends: readonly AppendRequest[];
  /** At the end. */
  readonly status: JobStatus;
}

const eventOf = (type: string, data: unknown, metadata: Partial<EventMetadata>): NewEvent => ({
  id: randomUUID(),
  type,
  version: 1,
  data: data as JsonObject,
  metadata: { actor: { type: 'client', id: 'anonymous' }, from: null, to: null, ...metadata } as unknown as JsonObject,
});

/** The appends of one life: each entry as one of its own, so that pages end anywhere. */
const historyOf = (entries: readonly Entry[], queue: string, type: string): JobHistory => {
  const jobId = randomUUID();
  const appends: AppendRequest[] = [];
  let job: Job | null = null;
  for (const entry of entries) {
    if (!isTransition(entry)) {
      const { run, attempt } = entry;
      const events = [eventOf(entry.type, entry.data, { run, attempt })];
      appends.push({ stream: workStream(jobId), expected: 'any', events });
      continue;
    }
    const from: JobStatus | null = job?.status ?? null;
    job = evolve(jobId, job, entry);
    const data =
      entry.type === 'JobCreated' ? { ...entry.data, spec: { ...entry.data.spec, queue, type } } : entry.data;
    const { status: to, run, attempt, revision } = job;
    const events = [eventOf(entry.type, data, { command: entry.command, run, attempt, from, to })];
    appends.push({ stream: jobStream(jobId), expected: revision === 0 ? 'noStream' : revision - 1, events });
  }
  if (job === null) throw new Error('a life without transitions');
  return { jobId, queue, type, appends, status: job.status };
};

const refusal = (jobId: string): AppendRequest => ({
  stream: refusalsStream(jobId),
  expected: 'any',
  events: [eventOf('CommandRefused', { command: 'complete', code: 'stale_lease' }, {})],
});

const names = fc.constantFrom('default', 'reports', '__proto__');

export const jobHistory: fc.Arbitrary<JobHistory> = fc
  .record({ beginning: beginnings, acts, policy: policies, queue: names, type: names, refused: fc.boolean() })
  .map(({ beginning, acts: lived, policy, queue, type, refused }) => {
    const end = lived.reduce((simulation, act) => perform(simulation, act, policy).after, beginning);
    const history = historyOf(end.log, queue, type);
    return refused ? { ...history, appends: [...history.appends, refusal(history.jobId)] } : history;
  });

/** Appends the lives interleaved: `turns` says whose append is next, as long as that one has any. */
export const appendInterleaved = async (
  store: EventStore,
  histories: readonly JobHistory[],
  turns: readonly number[],
): Promise<void> => {
  const waiting = histories.map(({ appends }) => [...appends]);
  const order: AppendRequest[] = [];
  for (let turn = 0; waiting.some((appends) => appends.length > 0); turn += 1) {
    const living = waiting.filter((appends) => appends.length > 0);
    order.push(living[(turns[turn % turns.length] ?? 0) % living.length]!.shift()!);
  }
  for (let first = 0; first < order.length; first += 7) {
    for (const result of await store.append(order.slice(first, first + 7))) {
      if (!result.ok) throw result.error;
    }
  }
};

/** How many of the things there are of each. */
export const tally = (things: readonly string[]): Readonly<Record<string, number>> => {
  const counts = new Map<string, number>();
  for (const thing of things) counts.set(thing, (counts.get(thing) ?? 0) + 1);
  return Object.fromEntries(counts);
};

/**
 * First answers by idempotency key. The key goes in with the append, so of two processes only one has the first
 * answer. What an answer says is made again from its events; `body` holds what they do not say.
 */
import type { Pool } from 'pg';
import type { JobStatus } from '../domain/job-chart.js';
import { jobIdOf } from '../domain/streams.js';
import type { BesideTable } from '../event-store/beside-table.js';
import { Unavailable, type EventStore, type Position, type RecordedEvent } from '../event-store/event-store.js';
import { metadataOf } from '../projections/jobs/stored-job.js';
import type { BeatLease, Idempotency, Outcome } from './envelope.js';
import { IdempotencyKeyReused } from './errors.js';

/** A row of `answers`, appended with the last request of its group. */
export interface AnswerRow extends Idempotency {
  /** Events of the whole group; they end at the row's event. */
  readonly events: number;
  readonly body: string | null;
}

export const ANSWERS: BesideTable<AnswerRow> = {
  name: 'answers',
  fn: 'jobledger.answers_add',
  fnOfTaken: 'jobledger.answers_put',
  around: {
    before: 'jobledger.answers_before',
    after: 'jobledger.answers_after',
    undo: 'jobledger.answers_undo',
    ofGroup: true,
  },
  type: 'jobledger.answer_put',
  columns: [
    { type: 'bytea', value: (row) => row.key },
    { type: 'bytea', value: (row) => row.fingerprint },
    { type: 'int4', value: (row) => row.events },
    { type: 'text', value: (row) => row.body },
  ],
};

export interface StoredAnswer {
  readonly fingerprint: Buffer;
  /** Of the answer's last event; null when it had none. */
  readonly position: Position | null;
  readonly events: number;
  readonly body: string | null;
  /** Where its events stand, on a log whose positions have gaps; absent: they end at `position`, without a gap. */
  readonly parts?: readonly AnswerPart[];
}

/** Stream, revision of its first event, number of events. */
type AnswerPart = readonly [string, number, number];

export interface Answers {
  find(key: Buffer): Promise<StoredAnswer | undefined>;
  /** Keeps an answer without events; false when the key was taken meanwhile. */
  keep(idempotency: Idempotency, body: string): Promise<boolean>;
  /** Forgets what is older than `ms`. */
  purge(ms: number): Promise<void>;
}

/** What the events of a fact or a no-op do not say of the job. */
export type AnswerBody = readonly {
  readonly jobId: string;
  readonly status: JobStatus;
  readonly run: number;
  readonly attempt: number;
  readonly revision: number;
  readonly position: Position | null;
  readonly lease?: BeatLease;
}[];

const recall = (answer: StoredAnswer, recorded: readonly RecordedEvent[]): readonly Outcome[] => {
  const body = answer.body === null ? [] : (JSON.parse(answer.body) as AnswerBody);
  if (body.length > 0) {
    return body.map(({ position, ...said }) => ({
      ...said,
      position: position ?? answer.position ?? '0',
      events: recorded.map((event) => event.type),
      recorded,
      replayed: true,
    }));
  }
  const byJob = new Map<string, RecordedEvent[]>();
  for (const event of recorded) {
    const jobId = jobIdOf(event.stream) ?? '';
    byJob.set(jobId, [...(byJob.get(jobId) ?? []), event]);
  }
  return [...byJob].map(([jobId, events]) => {
    const last = events.at(-1)!;
    const { to, run, attempt } = metadataOf(last);
    if (to === null) throw new Error(`the answer at ${last.position} was kept without what its events do not say`);
    return {
      jobId,
      status: to,
      run,
      attempt,
      revision: last.revision,
      position: last.position,
      events: events.map((event) => event.type),
      recorded: events,
      replayed: true,
    };
  });
};

/**
 * Thrown when the key is taken and its events are not there yet: its append is on its way to a log elsewhere, or was left
 * by a process that died and is about to be finished.
 */
export class KeyUnsettled extends Unavailable {
  constructor() {
    super('the first call of this key is not settled yet');
  }
}

/**
 * Thrown when the log does not have what the first call of a key appended: it was restored, or cut by hand, and other
 * events may stand there now. Whoever repeats the call is not told that it is in effect.
 */
export class AnswerLost extends Unavailable {
  constructor() {
    super('the log lacks what the first call of this key appended: if it was restored, call again with another key');
  }
}

/** Its append is on its way, or was left by a process that died and is about to be finished. */
const isUnsettled = ({ position, events }: StoredAnswer): boolean => position === null && events > 0;

/**
 * The first answer of a key, made again; undefined when the key is new.
 * @throws IdempotencyKeyReused when it was another request's.
 * @throws KeyUnsettled when the first call has no answer yet.
 * @throws AnswerLost when the log does not have its events.
 */
export const firstAnswer = async (
  store: EventStore,
  answers: Answers,
  idempotency: Idempotency,
  commandId: string,
): Promise<readonly Outcome[] | undefined> => {
  const stored = await answers.find(idempotency.key);
  if (stored === undefined) return undefined;
  if (!stored.fingerprint.equals(idempotency.fingerprint)) throw new IdempotencyKeyReused();
  if (isUnsettled(stored)) throw new KeyUnsettled();
  const recorded = await eventsOf(store, stored);
  if (recorded.length < eventsIn(stored) || !recorded.every(isOf(commandId))) throw new AnswerLost();
  return recall(stored, recorded);
};

/** Those that were appended: of an all-or-some group on a log elsewhere some were not. */
const eventsIn = ({ parts, events }: StoredAnswer): number =>
  parts === undefined ? events : parts.reduce((sum, [, , count]) => sum + count, 0);

const isOf =
  (commandId: string) =>
  (event: RecordedEvent): boolean =>
    event.damage?.part === 'metadata' || metadataOf(event).commandId === commandId;

const eventsOf = async (store: EventStore, answer: StoredAnswer): Promise<readonly RecordedEvent[]> => {
  if (answer.position === null || answer.events === 0) return [];
  if (answer.parts !== undefined) {
    const reads = answer.parts.map(([stream, from, limit]) => store.readStream(stream, { from, limit }));
    return (await Promise.all(reads)).flat();
  }
  const after = (BigInt(answer.position) - BigInt(answer.events)).toString();
  return (await store.readAll({ after, limit: answer.events })).events;
};

type AnswerRecord = Omit<StoredAnswer, 'parts'> & { readonly parts: string | null };

export class PostgresAnswers implements Answers {
  constructor(private readonly pool: Pool) {}

  async find(key: Buffer): Promise<StoredAnswer | undefined> {
    const { rows } = await this.pool.query<AnswerRecord>({
      name: 'answers-find',
      text: 'select fingerprint, position, events, body, parts from jobledger.answers where key = $1',
      values: [key],
    });
    const [row] = rows;
    if (row === undefined) return undefined;
    const { parts, ...stored } = row;
    return parts === null ? stored : { ...stored, parts: JSON.parse(parts) as readonly AnswerPart[] };
  }

  async keep(idempotency: Idempotency, body: string): Promise<boolean> {
    const { rowCount } = await this.pool.query({
      name: 'answers-keep',
      text: `insert into jobledger.answers (key, fingerprint, position, events, body, at)
        values ($1, $2, null, 0, $3, clock_timestamp()) on conflict do nothing`,
      values: [idempotency.key, idempotency.fingerprint, body],
    });
    return rowCount === 1;
  }

  async purge(ms: number): Promise<void> {
    await this.pool.query("delete from jobledger.answers where at < clock_timestamp() - $1::bigint * interval '1 ms'", [
      ms,
    ]);
  }
}

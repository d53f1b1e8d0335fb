/**
 * First answers by idempotency key. The key goes in with the append, so of two processes only one has the first
 * answer. What an answer says is made again from its events; `body` holds what they do not say.
 */
import type { Pool } from 'pg';
import type { JobStatus } from '../domain/job-chart.js';
import { jobIdOf } from '../domain/streams.js';
import type { BesideTable, EventStore, Position, RecordedEvent } from '../event-store/event-store.js';
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
  fn: 'jobledger.answers_put',
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
}

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

const recall = async (store: EventStore, answer: StoredAnswer): Promise<readonly Outcome[]> => {
  const body = answer.body === null ? [] : (JSON.parse(answer.body) as AnswerBody);
  const recorded = await eventsOf(store, answer);
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
 * The first answer of a key, made again; undefined when the key is new.
 * @throws IdempotencyKeyReused when it was another request's.
 */
export const firstAnswer = async (
  store: EventStore,
  answers: Answers,
  idempotency: Idempotency,
): Promise<readonly Outcome[] | undefined> => {
  const stored = await answers.find(idempotency.key);
  if (stored === undefined) return undefined;
  if (!stored.fingerprint.equals(idempotency.fingerprint)) throw new IdempotencyKeyReused();
  return recall(store, stored);
};

const eventsOf = async (store: EventStore, answer: StoredAnswer): Promise<readonly RecordedEvent[]> => {
  if (answer.position === null || answer.events === 0) return [];
  const after = (BigInt(answer.position) - BigInt(answer.events)).toString();
  return (await store.readAll({ after, limit: answer.events })).events;
};

interface AnswerRecord {
  fingerprint: Buffer;
  position: string | null;
  events: number;
  body: string | null;
}

export class PostgresAnswers implements Answers {
  constructor(private readonly pool: Pool) {}

  async find(key: Buffer): Promise<StoredAnswer | undefined> {
    const { rows } = await this.pool.query<AnswerRecord>({
      name: 'answers-find',
      text: 'select fingerprint, position, events, body from jobledger.answers where key = $1',
      values: [key],
    });
    return rows[0];
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

/** Log lines of jobs: a table of their own, so that writing one can never touch a job's state. */
import type { Pool } from 'pg';
import type { Value } from '../domain/job-events.js';
import type { Idempotency } from './envelope.js';

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Value;
  /** The worker's time, RFC 3339; null: it said none. */
  readonly at: string | null;
}

export interface LogWriter {
  readonly run: number | null;
  readonly attempt: number | null;
  readonly workerId: string | null;
}

export interface LogRow extends LogLine {
  /** Order of arrival; where a next page goes on. */
  readonly line: string;
  readonly attempt: number | null;
  readonly workerId: string | null;
  readonly at: string;
}

/** The first answer of a key, as `answers` keeps it. */
export interface KeptAnswer {
  readonly idempotency: Idempotency;
  readonly body: string;
}

interface LogRecord {
  line: string;
  attempt: number | null;
  worker_id: string | null;
  at: Date;
  level: string;
  message: string;
  fields: Value;
}

export class JobLogs {
  constructor(private readonly pool: Pool) {}

  /**
   * Keeps the lines, and what the call answers under its key, or nothing when the key was taken meanwhile.
   * @returns false when it was
   */
  async write(
    jobId: string,
    writer: LogWriter,
    lines: readonly LogLine[],
    answer: KeptAnswer | null,
  ): Promise<boolean> {
    const { rows } = await this.pool.query<{ kept: boolean }>({
      name: 'logs-write',
      text: `
        with answer as (
          insert into jobledger.answers (key, fingerprint, position, events, body, at)
          select $9::bytea, $10::bytea, null, 0, $11::text, clock_timestamp() where $9::bytea is not null
          on conflict do nothing returning 1
        ), kept as (
          select $9::bytea is null or exists (select from answer) as kept
        ), written as (
          insert into jobledger.job_logs (job_id, run, attempt, worker_id, at, worker_at, level, message, fields)
          select $1::uuid, $2::int, $3::int, $4::text, jobledger.now_ms(), l.at::timestamptz, l.level, l.message,
            l.fields::json
          from kept, unnest($5::text[], $6::text[], $7::text[], $8::text[]) with ordinality
            as l(level, message, fields, at, nth)
          where kept order by l.nth
        )
        select kept from kept`,
      values: [
        jobId,
        writer.run,
        writer.attempt,
        writer.workerId,
        lines.map(({ level }) => level),
        lines.map(({ message }) => message),
        lines.map(({ fields }) => (fields === null ? null : JSON.stringify(fields))),
        lines.map(({ at }) => at),
        answer?.idempotency.key ?? null,
        answer?.idempotency.fingerprint ?? null,
        answer?.body ?? null,
      ],
    });
    return rows[0]?.kept === true;
  }

  /** Lines in the order of their arrival, after a line. */
  async read(jobId: string, after: string, limit: number): Promise<readonly LogRow[]> {
    const { rows } = await this.pool.query<LogRecord>({
      name: 'logs-read',
      text: `select line, attempt, worker_id, coalesce(worker_at, at) as at, level, message, fields
        from jobledger.job_logs where job_id = $1 and line > $2::bigint order by line limit $3`,
      values: [jobId, after, limit],
    });
    return rows.map(({ worker_id, at, ...row }) => ({ ...row, workerId: worker_id, at: at.toISOString() }));
  }
}

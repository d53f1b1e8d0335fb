import type { Pool } from 'pg';
import type { JobStatus } from '../domain/job-chart.js';
import type { Directive } from '../domain/directive.js';
import { type Absence, MAX_GRACE_MS } from './grace.js';
import type { Beat, DueCursor, DueLease, Lease, Leases, Renewed } from './leases.js';

interface LeaseRecord {
  job_id: string;
  run: number;
  attempt: number;
  worker_id: string | null;
  expires_ms: string | null;
  beat_ms: string | null;
  beats: string;
  directive: Directive;
  deadline_ms: string | null;
}

const COLUMNS = `job_id, run, attempt, worker_id, beats, directive,
  (extract(epoch from expires_at) * 1000)::bigint as expires_ms,
  (extract(epoch from last_beat_at) * 1000)::bigint as beat_ms,
  (extract(epoch from deadline_at) * 1000)::bigint as deadline_ms`;

/** A parameter in epoch ms. */
const instant = (nth: number): string => `to_timestamp($${nth}::bigint / 1000.0)`;

/** Until when a lease stands, as `graceOf` says it of one: the absence is in $2 and $3, both null when there was none. */
const STANDS_UNTIL = `greatest(expires_at, case
  when expires_at >= ${instant(2)} and last_beat_at <= ${instant(3)}
  then ${instant(3)} + least(expires_at - last_beat_at, interval '${MAX_GRACE_MS} ms') end)`;

const ms = (value: string | null): number | null => (value === null ? null : Number(value));

const toLease = (row: LeaseRecord): Lease => ({
  jobId: row.job_id,
  run: row.run,
  attempt: row.attempt,
  workerId: row.worker_id,
  expiresAt: ms(row.expires_ms),
  lastBeatAt: ms(row.beat_ms),
  beats: Number(row.beats),
  directive: row.directive,
});

const toDueLease = (row: LeaseRecord): DueLease => ({ ...toLease(row), deadlineAt: Number(row.deadline_ms) });

/**
 * One renewal per row of the arrays. A row that an append is just changing is passed over, never waited for: a
 * statement that holds one lease and waits for the next could deadlock with the append that holds the next. The clock
 * is read once a row: between two readings its millisecond can turn, and a deadline then lies behind its lease's end.
 */
const RENEW = `
with asked as (
  select * from unnest($1::uuid[], $2::int[], $3::int[], $4::bigint[]) with ordinality
    as a(job_id, run, attempt, lease_ms, nth)
), held as materialized (
  select k.job_id, jobledger.now_ms() as at from (
    select l.job_id from jobledger.leases l where l.job_id = any ($1::uuid[]) order by l.job_id for update skip locked
  ) k
), renewed as (
  update jobledger.leases l set beats = l.beats + 1, last_beat_at = h.at,
    expires_at = h.at + coalesce(a.lease_ms, l.lease_ms) * interval '1 ms',
    deadline_at = least(l.deadline_at, h.at + coalesce(a.lease_ms, l.lease_ms) * interval '1 ms')
  from asked a join held h using (job_id)
  where l.job_id = a.job_id and l.run = a.run and l.attempt = a.attempt and l.worker_id is not null
    and not l.fenced
  returning l.job_id, l.run, l.attempt, (extract(epoch from l.expires_at) * 1000)::bigint as expires_ms, l.directive
)
select a.nth, r.expires_ms, r.directive, j.status, j.revision, j.position,
  h.job_id is null and exists (select from jobledger.leases l where l.job_id = a.job_id and l.run = a.run
    and l.attempt = a.attempt) as locked
from asked a left join held h using (job_id)
  left join renewed r on r.job_id = a.job_id and r.run = a.run and r.attempt = a.attempt
  left join jobledger.jobs j on j.id = r.job_id`;

interface RenewedRecord {
  expires_ms: string;
  directive: Directive;
  status: JobStatus;
  revision: string;
  position: string;
}

/** Nulls where the lease is not the caller's, or was locked. */
type RenewRecord = { [Key in keyof RenewedRecord]: RenewedRecord[Key] | null } & { nth: string; locked: boolean };

const toRenewed = (row: RenewedRecord): Renewed => ({
  expiresAt: Number(row.expires_ms),
  directive: row.directive,
  status: row.status,
  revision: Number(row.revision),
  position: row.position,
});

const isRenewed = (row: RenewRecord): row is RenewRecord & RenewedRecord =>
  row.expires_ms !== null && row.status !== null;

export class PostgresLeases implements Leases {
  constructor(private readonly pool: Pool) {}

  async renew(beats: readonly Beat[]): Promise<readonly (Renewed | 'locked' | null)[]> {
    const { rows } = await this.pool.query<RenewRecord>({
      name: 'leases-renew',
      text: RENEW,
      values: [
        beats.map((beat) => beat.jobId),
        beats.map((beat) => beat.run),
        beats.map((beat) => beat.attempt),
        beats.map((beat) => beat.leaseMs),
      ],
    });
    const results = new Array<Renewed | 'locked' | null>(beats.length).fill(null);
    for (const row of rows)
      results[Number(row.nth) - 1] = isRenewed(row) ? toRenewed(row) : row.locked ? 'locked' : null;
    return results;
  }

  async find(jobIds: readonly string[]): Promise<ReadonlyMap<string, Lease>> {
    const { rows } = await this.pool.query<LeaseRecord>({
      name: 'leases-find',
      text: `select ${COLUMNS} from jobledger.leases where job_id = any ($1::uuid[])`,
      values: [jobIds],
    });
    return new Map(rows.map((row) => [row.job_id, toLease(row)]));
  }

  async due(upTo: number, after: DueCursor | null, limit: number): Promise<readonly DueLease[]> {
    const { rows } = await this.pool.query<LeaseRecord>({
      name: 'leases-due',
      text: `select ${COLUMNS} from jobledger.leases
        where deadline_at <= to_timestamp($1::bigint / 1000.0)
          and (deadline_at, job_id) > (to_timestamp($2::bigint / 1000.0), $3::uuid)
        order by deadline_at, job_id limit $4`,
      values: [upTo, after?.deadlineAt ?? 0, after?.jobId ?? '00000000-0000-0000-0000-000000000000', limit],
    });
    return rows.map(toDueLease);
  }

  async nextDeadline(after: number): Promise<number | null> {
    const { rows } = await this.pool.query<{ at: string | null }>({
      name: 'leases-next',
      text: `select (extract(epoch from min(deadline_at)) * 1000)::bigint as at from jobledger.leases
        where deadline_at > to_timestamp($1::bigint / 1000.0)`,
      values: [after],
    });
    return ms(rows[0]?.at ?? null);
  }

  async overdue(
    now: number,
    absence: Absence | null,
  ): Promise<{ readonly count: number; readonly oldest: number | null }> {
    const { rows } = await this.pool.query<{ count: string; oldest: string | null }>({
      name: 'leases-overdue',
      text: `select count(*) as count,
          (extract(epoch from min(greatest(deadline_at, ${STANDS_UNTIL}))) * 1000)::bigint as oldest
        from jobledger.leases
        where deadline_at < ${instant(1)} and (worker_id is null or ${STANDS_UNTIL} < ${instant(1)})`,
      values: [now, absence?.from, absence?.until],
    });
    return { count: Number(rows[0]?.count ?? 0), oldest: ms(rows[0]?.oldest ?? null) };
  }

  async held(): Promise<number> {
    const { rows } = await this.pool.query<{ count: string }>({
      name: 'leases-held',
      text: 'select count(*) as count from jobledger.leases where worker_id is not null',
    });
    return Number(rows[0]?.count ?? 0);
  }

  async silent(now: number, absence: Absence | null, limit: number): Promise<readonly DueLease[]> {
    const { rows } = await this.pool.query<LeaseRecord>({
      name: 'leases-silent',
      text: `select ${COLUMNS} from jobledger.leases
        where deadline_at < ${instant(1)} and ${STANDS_UNTIL} >= ${instant(1)}
        order by deadline_at limit $4`,
      values: [now, absence?.from, absence?.until, limit],
    });
    return rows.map(toDueLease);
  }

  async rejudge(): Promise<void> {
    await this.pool.query(`
      with held as (
        select job_id from jobledger.leases order by job_id for update skip locked
      )
      update jobledger.leases l set deadline_at = least(l.deadline_at, jobledger.now_ms())
      from held h where h.job_id = l.job_id`);
  }

  async rearm(
    rows: readonly { readonly jobId: string; readonly beats: number; readonly deadlineAt: number | null }[],
  ): Promise<void> {
    if (rows.length === 0) return;
    await this.pool.query({
      name: 'leases-rearm',
      text: `
        with held as (
          select l.job_id from jobledger.leases l where l.job_id = any ($1::uuid[])
          order by l.job_id for update skip locked
        ), asked as (
          select r.* from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as r(job_id, beats, deadline_ms)
          join held using (job_id)
        ), gone as (
          delete from jobledger.leases l using asked r
          where l.job_id = r.job_id and l.beats = r.beats and r.deadline_ms is null
        )
        update jobledger.leases l set deadline_at = least(to_timestamp(r.deadline_ms / 1000.0), l.expires_at)
        from asked r
        where l.job_id = r.job_id and l.beats = r.beats and r.deadline_ms is not null`,
      values: [rows.map((row) => row.jobId), rows.map((row) => row.beats), rows.map((row) => row.deadlineAt)],
    });
  }

  async seed(rows: Parameters<Leases['seed']>[0]): Promise<void> {
    if (rows.length === 0) return;
    await this.pool.query({
      name: 'leases-seed',
      text: `
        with asked as (
          select * from unnest(
            $1::uuid[], $2::bigint[], $3::int[], $4::int[], $5::text[], $6::bigint[], $7::bigint[], $8::text[])
            as a(job_id, revision, run, attempt, worker_id, lease_ms, deadline_ms, directive)
        ), unmoved as materialized (
          -- No append may end the lease between this look and the new row; one that is at it is not waited for.
          select k.job_id, jobledger.now_ms() as at from (
            select j.id as job_id from jobledger.jobs j join asked a on a.job_id = j.id and a.revision = j.revision
            order by j.id for share of j skip locked
          ) k
        )
        insert into jobledger.leases (job_id, run, attempt, worker_id, lease_ms, expires_at, deadline_at, directive,
          beats)
        select r.job_id, r.run, r.attempt, r.worker_id, r.lease_ms,
          case when r.worker_id is not null then at + r.lease_ms * interval '1 ms' end,
          least(to_timestamp(r.deadline_ms / 1000.0),
            case when r.worker_id is not null then at + r.lease_ms * interval '1 ms' end),
          r.directive, jobledger.first_beat()
        from asked r join unmoved using (job_id) order by r.job_id
        -- A row that is there stays, unless it is left from an attempt that ended.
        on conflict (job_id) do update set run = excluded.run, attempt = excluded.attempt,
          worker_id = excluded.worker_id, lease_ms = excluded.lease_ms, expires_at = excluded.expires_at,
          last_beat_at = null, deadline_at = excluded.deadline_at, directive = excluded.directive,
          beats = excluded.beats, fenced = false, unsettled = 0
        where (leases.run, leases.attempt) < (excluded.run, excluded.attempt)`,
      values: [
        rows.map((row) => row.jobId),
        rows.map((row) => row.revision),
        rows.map((row) => row.run),
        rows.map((row) => row.attempt),
        rows.map((row) => row.workerId),
        rows.map((row) => row.leaseMs),
        rows.map((row) => row.deadlineAt),
        rows.map((row) => row.directive),
      ],
    });
  }
}

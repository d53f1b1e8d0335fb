import { performance } from 'node:perf_hooks';
import pg, { type Pool, type QueryResultRow } from 'pg';
import type { Claimable } from '../domain/claimable.js';
import type { Clock } from './clock.js';
import type { ClaimFilter, Offer, Reservations, Reserved } from './leases.js';
import { LOOK_LIMIT, SearchMarks } from './search-marks.js';

/** How long a candidate is held for the claim that found it. */
const HOLD_MS = 2_000;

/** How a row of `jobs` is read: it comes with its reservation, which saves every claim a trip. */
export interface JobReading<Record extends QueryResultRow, Row> {
  /** Of the alias `j`. */
  readonly columns: string;
  /** Undefined when the row makes no sense. */
  readonly read: (record: Record) => Row | undefined;
  readonly claimable: (row: Row) => Claimable;
}

/** The statement took longer than it may (`query_canceled`). */
const isTimeout = (error: unknown): boolean =>
  error instanceof Error && error.cause instanceof pg.DatabaseError && error.cause.code === '57014';

export class PostgresReservations<Record extends QueryResultRow, Row> implements Reservations<Row> {
  private readonly marks = new SearchMarks();

  constructor(
    private readonly pool: Pool,
    /** For looks behind marks, which take their time. */
    private readonly background: Pool,
    private readonly clock: Clock,
    private readonly job: JobReading<Record, Row>,
    /** A monotonic clock, ms. */
    private readonly elapsed: () => number = () => performance.now(),
  ) {}

  /** Told of each state of a job that is known to be in the log. */
  note(job: () => Claimable): void {
    if (this.marks.isEmpty) return;
    this.marks.note(job());
  }

  async offered(): Promise<readonly Offer[]> {
    const { rows } = await this.pool.query<Offer>({
      name: 'reserve-offered',
      text: 'select queue, type from jobledger.offered()',
    });
    return rows;
  }

  async reserve(filter: ClaimFilter, limit: number): Promise<readonly Reserved<Row>[]> {
    try {
      const { found, hasMore } = await this.search(filter, limit);
      const more = hasMore ? (await this.search(filter, limit - found.length)).found : [];
      return [...found, ...more];
    } finally {
      void this.lookBehind(filter);
    }
  }

  private async search(filter: ClaimFilter, limit: number) {
    const startedAt = this.clock.now();
    const began = this.elapsed();
    const searched = (found: readonly Reserved<Row>[] | null): boolean => {
      const now = this.elapsed();
      const seen = found?.map((one) =>
        one.row === undefined ? { id: one.jobId, at: null } : this.job.claimable(one.row),
      );
      return this.marks.searched(filter, { startedAt, tookMs: now - began, limit, found: seen ?? null }, now);
    };
    try {
      const found = await this.hold(filter, limit);
      return { found, hasMore: searched(found) };
    } catch (error) {
      if (isTimeout(error)) searched(null);
      throw error;
    }
  }

  private async hold(filter: ClaimFilter, limit: number): Promise<readonly Reserved<Row>[]> {
    const { from, strays } = this.marks.begin(filter);
    const { rows } = await this.pool.query<Record & { reserved_id: string }>({
      name: 'reserve',
      text: `select j.id as reserved_id, ${this.job.columns}
        from jobledger.reserve($1::text[], $2::text[], $3, $4,
          coalesce(to_timestamp($5::bigint / 1000.0), '-infinity'), $6::uuid[]) j`,
      values: [filter.queues ?? null, filter.types ?? null, limit, HOLD_MS, from, strays],
    });
    return rows.map((record) => ({ jobId: record.reserved_id, row: this.job.read(record) }));
  }

  /** Never fails: the next one looks again. */
  private async lookBehind(filter: ClaimFilter): Promise<void> {
    const began = this.elapsed();
    const before = this.marks.lookBehind(filter, began);
    if (before === undefined) return;
    let ids: readonly string[] | null = null;
    try {
      const { rows } = await this.background.query<{ id: string }>({
        name: 'reserve-left-behind',
        text: `select id from jobledger.left_behind($1::text[], $2::text[], to_timestamp($3::bigint / 1000.0), $4) id`,
        values: [filter.queues ?? null, filter.types ?? null, before, LOOK_LIMIT],
      });
      ids = rows.map(({ id }) => id);
    } catch {
      // The database is away, or it took too long.
    }
    const now = this.elapsed();
    this.marks.lookedBehind(filter, { tookMs: now - began, ids }, now);
  }

  async release(jobIds: readonly string[]): Promise<void> {
    if (jobIds.length === 0) return;
    await this.pool.query({
      name: 'reserve-release',
      text: 'delete from jobledger.reservations where job_id = any ($1::uuid[])',
      values: [jobIds],
    });
  }

  /** Removes what lapsed long ago. */
  async sweep(): Promise<void> {
    await this.pool.query(
      "delete from jobledger.reservations where expires_at < clock_timestamp() - interval '1 minute'",
    );
  }
}

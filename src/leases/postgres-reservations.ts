import type { Pool, QueryResultRow } from 'pg';
import type { ClaimFilter, Offer, Reservations, Reserved } from './leases.js';

/** How long a candidate is held for the claim that found it. */
const HOLD_MS = 2_000;

/** How a row of `jobs` is read: it comes with its reservation, which saves every claim a trip. */
export interface JobReading<Record extends QueryResultRow, Row> {
  /** Of the alias `j`. */
  readonly columns: string;
  /** Undefined when the row makes no sense. */
  readonly read: (record: Record) => Row | undefined;
}

export class PostgresReservations<Record extends QueryResultRow, Row> implements Reservations<Row> {
  constructor(
    private readonly pool: Pool,
    private readonly job: JobReading<Record, Row>,
  ) {}

  async offered(): Promise<readonly Offer[]> {
    const { rows } = await this.pool.query<Offer>({
      name: 'reserve-offered',
      text: 'select queue, type from jobledger.offered()',
    });
    return rows;
  }

  async reserve(filter: ClaimFilter, limit: number): Promise<readonly Reserved<Row>[]> {
    const { rows } = await this.pool.query<Record & { reserved_id: string }>({
      name: 'reserve',
      text: `select j.id as reserved_id, ${this.job.columns} from jobledger.reserve($1::text[], $2::text[], $3, $4) j`,
      values: [filter.queues ?? null, filter.types ?? null, limit, HOLD_MS],
    });
    return rows.map((record) => ({ jobId: record.reserved_id, row: this.job.read(record) }));
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

import type { Pool } from 'pg';
import type { ClaimFilter, Reservations } from './leases.js';

/** How long a candidate is held for the claim that found it. */
const HOLD_MS = 2_000;

export class PostgresReservations implements Reservations {
  constructor(private readonly pool: Pool) {}

  async reserve(filter: ClaimFilter, limit: number): Promise<readonly string[]> {
    const { rows } = await this.pool.query<{ id: string }>({
      name: 'reserve',
      text: 'select id from jobledger.reserve($1::text[], $2::text[], $3, $4) as id',
      values: [filter.queues ?? null, filter.types ?? null, limit, HOLD_MS],
    });
    return rows.map((row) => row.id);
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

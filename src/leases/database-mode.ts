import type { Pool } from 'pg';

/**
 * Whether the database takes writes. A standby answers every read as if nothing were wrong, and so does a server that was
 * made read-only because its disk is full, or for a failover.
 */
export class DatabaseMode {
  constructor(private readonly pool: Pool) {}

  /** @throws Unavailable when the database is away */
  async takesWrites(): Promise<boolean> {
    const { rows } = await this.pool.query<{ mode: string }>({
      name: 'database-mode',
      text: "select current_setting('transaction_read_only') as mode",
    });
    return rows[0]?.mode === 'off';
  }
}

/** What is known of the reaper, of all processes: who leads, its last sweeps, its errors. */
import type { Pool } from 'pg';
import type { SweepReport } from './sweep.js';

export interface ReaperRecord {
  readonly leader: string | null;
  readonly sweeps: number;
  /** Epoch ms. */
  readonly lastSweepAt: number | null;
  readonly intervalMs: number | null;
  readonly lastError: string | null;
  readonly consecutiveErrors: number;
}

interface Row {
  leader: string | null;
  sweeps: string;
  last_ms: string | null;
  interval_ms: string | null;
  last_error: string | null;
  consecutive_errors: number;
}

/** Sweeps that are kept. */
const KEPT = 100;

const number = (text: string | null): number | null => (text === null ? null : Number(text));

export class Sweeps {
  constructor(
    private readonly pool: Pool,
    readonly instanceId: string,
  ) {}

  /** Takes or keeps the lead for a time; false while another instance has it. */
  async lead(ttlMs: number): Promise<boolean> {
    const { rowCount } = await this.pool.query({
      name: 'reaper-lead',
      text: `update jobledger.reaper set leader = $1, leads_until = jobledger.now_ms() + $2::int * interval '1 ms'
        where leader is null or leader = $1 or leads_until < clock_timestamp()`,
      values: [this.instanceId, ttlMs],
    });
    return rowCount === 1;
  }

  /** Lets another instance lead at once. */
  async resign(): Promise<void> {
    await this.pool.query('update jobledger.reaper set leader = null, leads_until = null where leader = $1', [
      this.instanceId,
    ]);
  }

  async record(report: SweepReport, intervalMs: number): Promise<void> {
    await this.pool.query({
      name: 'reaper-record',
      text: `
        with counted as (
          update jobledger.reaper set sweeps = sweeps + 1, last_sweep_at = jobledger.now_ms(), interval_ms = $4,
            last_error = null, consecutive_errors = 0
          returning sweeps, last_sweep_at
        )
        insert into jobledger.sweeps (slot, number, instance_id, at, report)
        select c.sweeps % $3, c.sweeps, $1, c.last_sweep_at, $2::json from counted c
        on conflict (slot) do update set number = excluded.number, instance_id = excluded.instance_id,
          at = excluded.at, report = excluded.report`,
      values: [this.instanceId, JSON.stringify(report), KEPT, intervalMs],
    });
  }

  async recordError(message: string, consecutive: number, intervalMs: number): Promise<void> {
    await this.pool.query('update jobledger.reaper set last_error = $1, consecutive_errors = $2, interval_ms = $3', [
      message,
      consecutive,
      intervalMs,
    ]);
  }

  async read(): Promise<ReaperRecord> {
    const { rows } = await this.pool.query<Row>({
      name: 'reaper-read',
      text: `select case when leads_until > clock_timestamp() then leader end as leader, sweeps,
          (extract(epoch from last_sweep_at) * 1000)::bigint as last_ms, interval_ms, last_error, consecutive_errors
        from jobledger.reaper`,
    });
    const row = rows[0];
    if (row === undefined) throw new Error('the reaper has no record: was the database migrated?');
    return {
      leader: row.leader,
      sweeps: Number(row.sweeps),
      lastSweepAt: number(row.last_ms),
      intervalMs: number(row.interval_ms),
      lastError: row.last_error,
      consecutiveErrors: row.consecutive_errors,
    };
  }

  /** Notes the policy that deadlines are armed with from now on; true when it is another than before. */
  async policyChanged(policy: string): Promise<boolean> {
    const { rowCount } = await this.pool.query(
      'update jobledger.reaper set policy = $1 where policy is distinct from $1 returning policy',
      [policy],
    );
    return rowCount === 1;
  }
}

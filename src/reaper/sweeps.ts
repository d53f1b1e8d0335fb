/** What is known of the reaper, of all processes: who leads, its last sweeps, its errors. */
import type { Pool } from 'pg';
import { MAX_GRACE_MS, type Absence } from '../leases/grace.js';
import type { SweepReport } from './sweep.js';

export interface ReaperRecord {
  readonly leader: string | null;
  readonly sweeps: number;
  /** Epoch ms. */
  readonly lastSweepAt: number | null;
  readonly intervalMs: number | null;
  /** When anybody last led, epoch ms. */
  readonly ledAt: number | null;
  /** The last time that nobody led; null when somebody always did. */
  readonly absence: Absence | null;
  readonly lastError: string | null;
  readonly consecutiveErrors: number;
}

/** What is known where the row is missing: its reaper, if there is one, makes it anew. */
const NO_RECORD: ReaperRecord = {
  ...{ leader: null, sweeps: 0, lastSweepAt: null, intervalMs: null, ledAt: null, absence: null },
  ...{ lastError: null, consecutiveErrors: 0 },
};

interface Row {
  leader: string | null;
  sweeps: string;
  last_ms: string | null;
  interval_ms: string | null;
  led_ms: string | null;
  away_ms: string | null;
  back_ms: string | null;
  last_error: string | null;
  consecutive_errors: number;
}

/** A few seconds of lead, renewed well before they end, ms. */
export const leadMsOf = (intervalMs: number): number => Math.min(Math.max(2 * intervalMs, 2_000), 10_000);

/** Sweeps that are kept. */
const KEPT = 100;

const number = (text: string | null): number | null => (text === null ? null : Number(text));

export class Sweeps {
  constructor(
    private readonly pool: Pool,
    readonly instanceId: string,
  ) {}

  /**
   * Takes or keeps the lead for a time; false while another instance has it. Who takes it from another, or renews it too
   * late, notes since when nobody led: how it is known that the ledger was away, over restarts and outages. A second
   * absence before workers could come back from the first is one with it.
   */
  async lead(ttlMs: number): Promise<boolean> {
    const { rowCount } = await this.pool.query({
      name: 'reaper-lead',
      text: `
        with now as materialized (
          select jobledger.now_ms() as at, one, coalesce(led_at, last_sweep_at) as led_at,
            leader is distinct from $1 or led_at is null
              or led_at < jobledger.now_ms() - $2::int * interval '1 ms' as begins
          from jobledger.reaper for update
        )
        update jobledger.reaper r set leader = $1, leads_until = now.at + $2::int * interval '1 ms', led_at = now.at,
          away_from = case when not now.begins then r.away_from
            when now.led_at < r.back_at + $3::int * interval '1 ms' then coalesce(r.away_from, now.led_at)
            else now.led_at end,
          back_at = case when now.begins then now.at else r.back_at end
        from now
        where r.one = now.one and (r.leader is null or r.leader = $1 or r.leads_until < clock_timestamp())`,
      values: [this.instanceId, ttlMs, MAX_GRACE_MS],
    });
    // Somebody leads, or somebody deleted the one row: without it nobody ever would.
    if (rowCount !== 1) await this.pool.query('insert into jobledger.reaper default values on conflict do nothing');
    return rowCount === 1;
  }

  /** Lets another instance lead at once. Its name stays, that it does not take itself for another when it leads again. */
  async resign(): Promise<void> {
    await this.pool.query({
      text: `update jobledger.reaper set led_at = jobledger.now_ms(), leads_until = jobledger.now_ms() - interval '1 ms'
        where leader = $1 and leads_until > clock_timestamp()`,
      values: [this.instanceId],
    });
  }

  async absence(): Promise<Absence | null> {
    return (await this.read()).absence;
  }

  /** @param firstError of a job that could not be judged, when there was one */
  async record(report: SweepReport, firstError: string | null, intervalMs: number): Promise<void> {
    await this.pool.query({
      name: 'reaper-record',
      text: `
        with counted as (
          update jobledger.reaper set sweeps = sweeps + 1, last_sweep_at = jobledger.now_ms(), interval_ms = $4,
            last_error = $5, consecutive_errors = 0
          returning sweeps, last_sweep_at
        )
        insert into jobledger.sweeps (slot, number, instance_id, at, report)
        select c.sweeps % $3, c.sweeps, $1, c.last_sweep_at, $2::json from counted c
        on conflict (slot) do update set number = excluded.number, instance_id = excluded.instance_id,
          at = excluded.at, report = excluded.report`,
      values: [this.instanceId, JSON.stringify(report), KEPT, intervalMs, firstError],
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
          (extract(epoch from last_sweep_at) * 1000)::bigint as last_ms, interval_ms, last_error, consecutive_errors,
          (extract(epoch from greatest(led_at, last_sweep_at)) * 1000)::bigint as led_ms,
          (extract(epoch from away_from) * 1000)::bigint as away_ms,
          (extract(epoch from back_at) * 1000)::bigint as back_ms
        from jobledger.reaper`,
    });
    const row = rows[0];
    if (row === undefined) return NO_RECORD;
    const [from, until] = [number(row.away_ms), number(row.back_ms)];
    return {
      leader: row.leader,
      sweeps: Number(row.sweeps),
      lastSweepAt: number(row.last_ms),
      intervalMs: number(row.interval_ms),
      ledAt: number(row.led_ms),
      absence: from === null || until === null ? null : { from, until },
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

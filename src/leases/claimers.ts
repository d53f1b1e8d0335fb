/**
 * Who asks for jobs, and for which. It says why a queued job does not move: nobody asks for its queue, or for its type,
 * or whoever does has not asked lately. For people: no decision looks at it, and what cannot be written is left out.
 */
import { performance } from 'node:perf_hooks';
import type { Pool } from 'pg';
import type { ClaimFilter } from './leases.js';

/** What was noted is written this long after it at the latest, ms. */
const WRITE_MS = 2_000;
/** Most that are noted between two writes; more are left out. */
const MAX_NOTED = 5_000;
/** Who has not asked for so long is forgotten. */
const KEPT = '1 day';
/** Most that are told of a queue. */
const MAX_TOLD = 20;

export interface Claimer {
  readonly workerId: string;
  /** Null: of any type. */
  readonly types: readonly string[] | null;
  /** Epoch ms. */
  readonly askedAt: number;
}

interface Noted {
  readonly workerId: string;
  readonly filter: ClaimFilter;
  readonly at: number;
}

interface Row {
  readonly queue: string;
  readonly worker_id: string;
  readonly types: readonly string[] | null;
  readonly asked_ms: string;
}

/** Lists travel as one array of JSON texts: arrays of arrays of different lengths are no type of the database. */
const WRITE = `
insert into jobledger.claimers (worker_id, filter, queues, types, asked_at)
select n.worker_id, n.filter,
  case when n.filter::jsonb ->> 0 is not null then array(select jsonb_array_elements_text(n.filter::jsonb -> 0)) end,
  case when n.filter::jsonb ->> 1 is not null then array(select jsonb_array_elements_text(n.filter::jsonb -> 1)) end,
  clock_timestamp() - n.age * interval '1 ms'
from unnest($1::text[], $2::text[], $3::float8[]) as n(worker_id, filter, age)
on conflict (worker_id, filter) do update set asked_at = greatest(claimers.asked_at, excluded.asked_at)`;

const TELL = `
select q.name as queue, c.worker_id, c.types, (extract(epoch from c.asked_at) * 1000)::bigint::text as asked_ms
from unnest($1::text[]) as q(name)
cross join lateral (
  select worker_id, types, asked_at from jobledger.claimers
  where queues is null or q.name = any (queues) order by asked_at desc, worker_id limit $2
) c`;

export class Claimers {
  private readonly noted = new Map<string, Noted>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly pool: Pool) {}

  /** A worker asks, now. */
  note(workerId: string, filter: ClaimFilter): void {
    if (this.noted.size >= MAX_NOTED) return;
    this.noted.set(JSON.stringify([workerId, asText(filter)]), { workerId, filter, at: performance.now() });
    this.timer ??= setTimeout(() => void this.write(), WRITE_MS).unref();
  }

  /** Those who asked for jobs of each queue, the last one first, at most 20 a queue; those of other processes seconds late. */
  async of(queues: readonly string[]): Promise<ReadonlyMap<string, readonly Claimer[]>> {
    await this.write();
    const told = new Map<string, Claimer[]>(queues.map((name) => [name, []]));
    const { rows } = await this.pool.query<Row>({ name: 'claimers', text: TELL, values: [queues, MAX_TOLD] });
    for (const { queue, worker_id: workerId, types, asked_ms } of rows)
      told.get(queue)?.push({ workerId, types, askedAt: Number(asked_ms) });
    return told;
  }

  /** Removes those who asked long ago. */
  async sweep(): Promise<void> {
    await this.pool.query(`delete from jobledger.claimers where asked_at < clock_timestamp() - interval '${KEPT}'`);
  }

  /** Nothing is written any more. */
  stop(): void {
    clearTimeout(this.timer);
  }

  private async write(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const noted = [...this.noted.values()];
    this.noted.clear();
    if (noted.length === 0) return;
    const now = performance.now();
    const columns = [
      noted.map(({ workerId }) => workerId),
      noted.map(({ filter }) => asText(filter)),
      noted.map(({ at }) => now - at),
    ];
    await this.pool.query({ name: 'claimers-write', text: WRITE, values: columns }).catch(() => undefined);
  }
}

const asText = ({ queues, types }: ClaimFilter): string => JSON.stringify([sorted(queues), sorted(types)]);

const sorted = (names: readonly string[] | undefined): readonly string[] | null =>
  names === undefined ? null : [...names].sort();

/** Queues as they are asked for: counts from the counters, the job that has waited longest from the rows of jobs. */
import type { Pool } from 'pg';
import { statusesTagged, hasTag } from '../../domain/job-chart.js';
import type { Position } from '../../event-store/event-store.js';
import { countByStatus, type StatusCounts, type StatusRow } from './counter-queries.js';
import { COUNTERS } from './counters.js';

export interface QueueAnswer {
  readonly name: string;
  readonly paused: boolean;
  /** Jobs that could be claimed now; one that is scheduled counts once it was moved to its queue. */
  readonly depth: number;
  /** The one that has been in its queue the longest; null when the depth is 0. */
  readonly oldestJobId: string | null;
  /** How long it has been there, ms. */
  readonly oldestAgeMs: number | null;
  readonly byStatus: StatusCounts;
  /** Of `depth`, of the types that have most. */
  readonly depthByType: Readonly<Record<string, number>>;
  /** Null: no limit. */
  readonly limits: {
    readonly maxRunning: number | null;
    readonly maxRunningPerKey: number | null;
    readonly rate: number | null;
  };
}

export interface QueuesAnswer {
  /** That the counts are of. */
  readonly position: Position;
  readonly queues: readonly QueueAnswer[];
}

/** Claimable without waiting for a time. */
const READY = statusesTagged('claimable').filter((status) => !hasTag(status, 'waiting'));

/** Most types of a queue that are told. */
const MAX_TYPES = 20;

interface Row {
  position: string;
  name: string | null;
  counts: readonly StatusRow[];
  types: Readonly<Record<string, number>> | null;
  oldest_id: string | null;
  oldest_age_ms: string | null;
}

const toQueue = (row: Row & { name: string }): QueueAnswer => {
  const byStatus = countByStatus(row.counts);
  const depth = READY.reduce((sum, status) => sum + byStatus[status], 0);
  const hasOldest = depth > 0 && row.oldest_id !== null;
  return {
    name: row.name,
    paused: false,
    depth,
    oldestJobId: hasOldest ? row.oldest_id : null,
    oldestAgeMs: hasOldest ? Number(row.oldest_age_ms) : null,
    byStatus,
    depthByType: row.types ?? {},
    limits: { maxRunning: null, maxRunningPerKey: null, rate: null },
  };
};

export class QueueQueries {
  constructor(private readonly pool: Pool) {}

  /** Queues that ever had a job, by name. `after`: names after this one. */
  list(limit: number, after: string | null = null): Promise<QueuesAnswer> {
    return this.read('name > $2', after ?? '', limit);
  }

  /** No queue: it never had a job. */
  find(name: string): Promise<QueuesAnswer> {
    return this.read('name = $2', name, 1);
  }

  /** The queues whose oldest job that could be claimed has waited longest, those first. */
  async longestWaiting(limit: number): Promise<readonly { readonly name: string; readonly ageMs: number }[]> {
    const { rows } = await this.pool.query<{ name: string; age_ms: string }>({
      name: 'queues-longest-waiting',
      text: `
        select q.name, floor(greatest(0, extract(epoch from clock_timestamp() - o.since) * 1000))::bigint::text as age_ms
        from (
          select queue as name from jobledger.counters_by_status where status = any ($1) group by queue having sum(n) > 0
        ) q
        cross join lateral jobledger.oldest_ready(q.name) o
        where o.since is not null order by o.since, q.name limit $2`,
      values: [READY, limit],
    });
    return rows.map(({ name, age_ms }) => ({ name, ageMs: Number(age_ms) }));
  }

  private async read(which: 'name > $2' | 'name = $2', name: string, limit: number): Promise<QueuesAnswer> {
    const { rows } = await this.pool.query<Row>({
      name: `queues ${which}`,
      text: `
        select p.position, q.name, q.counts, t.types, o.id as oldest_id,
          floor(greatest(0, extract(epoch from clock_timestamp() - o.since) * 1000))::bigint::text as oldest_age_ms
        from (select coalesce(max(position), 0)::text as position from jobledger.projections where name = $1) p
        left join lateral (
          select name, json_agg(json_build_object('status', status, 'n', n)) as counts
          from (
            select queue as name, status, sum(n) as n from jobledger.counters_by_status group by queue, status
          ) c
          where ${which} group by name order by name limit $3
        ) q on true
        left join lateral (
          select json_object_agg(type, n order by n desc, type) as types
          from (
            select type, sum(n) as n from jobledger.counters_by_status
            where queue = q.name and status = any ($4::text[]) group by type having sum(n) > 0
            order by n desc, type limit $5
          ) c
        ) t on q.name is not null
        left join lateral jobledger.oldest_ready(q.name) o on q.name is not null
        order by q.name`,
      values: [COUNTERS.name, name, limit, READY, MAX_TYPES],
    });
    return {
      position: rows[0]!.position,
      queues: rows.flatMap((row) => (row.name === null ? [] : [toQueue({ ...row, name: row.name })])),
    };
  }
}

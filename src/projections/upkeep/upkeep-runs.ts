/**
 * Runs of upkeep as the database has them: asked for once, worked on by whoever holds them, taken over from a process
 * that died, and kept with what came of them.
 */
import { randomUUID } from 'node:crypto';
import type { Pool } from 'pg';
import type { Position } from '../../event-store/event-store.js';
import type { Tx } from '../transaction.js';

export type UpkeepKind = 'rebuild' | 'verify' | 'verify-log';

/** What a run is on, when it is not a projection. */
export const LOG_SUBJECT = 'log';

/** Where a run is: what is done does not have to be done again after it was taken over. */
export type UpkeepStep = 'waiting' | 'building' | 'comparing' | 'swapping' | 'dropping' | 'walking';

export interface UpkeepRun {
  readonly id: string;
  readonly kind: UpkeepKind;
  /** The projection, or `log`. */
  readonly subject: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly state: 'running' | 'done' | 'failed';
  readonly requestedBy: string;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly finishedAt: string | null;
  readonly holder: string | null;
  readonly step: UpkeepStep;
  /** Up to where the log was worked through. */
  readonly position: Position;
  readonly events: number;
  readonly eventsPerSecond: number | null;
  readonly result: Readonly<Record<string, unknown>> | null;
  readonly error: string | null;
}

export interface UpkeepProgress {
  readonly step: UpkeepStep;
  readonly position: Position;
  readonly events: number;
  readonly eventsPerSecond: number | null;
}

/** Another kind of run is under way on the same subject. */
export class UpkeepBusy extends Error {
  constructor(readonly running: UpkeepRun) {
    super(`a ${running.kind} of ${running.subject} is under way`);
  }
}

/** How long a process that does not say so any more holds a run, ms. */
export const HOLD_MS = 5_000;

interface Row extends Omit<UpkeepRun, 'startedAt' | 'finishedAt' | 'events'> {
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
  readonly events: string;
}

const COLUMNS = `id, kind, subject, options, state, requested_by as "requestedBy", started_at as "startedAt",
  finished_at as "finishedAt", holder, step, position::text, events, events_per_second as "eventsPerSecond", result,
  error`;

const toRun = (row: Row): UpkeepRun => ({
  ...row,
  startedAt: row.startedAt.toISOString(),
  finishedAt: row.finishedAt?.toISOString() ?? null,
  events: Number(row.events),
});

const SCHEMA = '(select max(number) from jobledger.migrations)';

export class UpkeepRuns {
  constructor(
    private readonly pool: Pool,
    /** Of this process. */
    private readonly instanceId: string,
  ) {}

  /**
   * A new run, or the one of its kind that is under way with the same options.
   * @throws UpkeepBusy
   */
  async begin(
    kind: UpkeepKind,
    subject: string,
    options: Readonly<Record<string, unknown>>,
    requestedBy: string,
  ): Promise<UpkeepRun & { readonly isNew: boolean }> {
    for (;;) {
      const begun = await this.rows(
        `insert into jobledger.upkeep (id, kind, subject, options, state, requested_by, schema)
          values ($1, $2, $3, $4, 'running', $5, ${SCHEMA})
          on conflict (subject) where state = 'running' do nothing returning ${COLUMNS}`,
        [randomUUID(), kind, subject, JSON.stringify(options), requestedBy],
      );
      if (begun[0] !== undefined) return { ...begun[0], isNew: true };
      const [running] = await this.rows(
        `select ${COLUMNS} from jobledger.upkeep where subject = $1 and state = 'running'`,
        [subject],
      );
      // It ended in this moment.
      if (running === undefined) continue;
      const isSame =
        running.kind === kind && JSON.stringify(options) === JSON.stringify(sortedLike(options, running.options));
      if (!isSame) throw new UpkeepBusy(running);
      return { ...running, isNew: false };
    }
  }

  async find(id: string): Promise<UpkeepRun | undefined> {
    return (await this.rows(`select ${COLUMNS} from jobledger.upkeep where id = $1`, [id]))[0];
  }

  /** The newest first. */
  async list(limit: number): Promise<readonly UpkeepRun[]> {
    return this.rows(`select ${COLUMNS} from jobledger.upkeep order by started_at desc, id desc limit $1`, [limit]);
  }

  /** The last run on each of the subjects, by subject. */
  async lastOf(subjects: readonly string[]): Promise<ReadonlyMap<string, UpkeepRun>> {
    const runs = await this.rows(
      `select distinct on (subject) ${COLUMNS} from jobledger.upkeep where subject = any ($1)
        order by subject, started_at desc, id desc`,
      [subjects],
    );
    return new Map(runs.map((run) => [run.subject, run]));
  }

  /** The last verification of each subject that came to its end. */
  async lastVerified(): Promise<readonly UpkeepRun[]> {
    return this.rows(
      `select distinct on (subject) ${COLUMNS} from jobledger.upkeep
        where kind in ('verify', 'verify-log') and state = 'done'
        order by subject, finished_at desc, id desc`,
      [],
    );
  }

  /** Runs that nobody holds. */
  async abandoned(): Promise<readonly string[]> {
    const runs = await this.rows(
      `select ${COLUMNS} from jobledger.upkeep
        where state = 'running' and (holder is null or held_until < clock_timestamp())`,
      [],
    );
    return runs.map(({ id }) => id);
  }

  /**
   * Takes a run; undefined while another process holds it.
   * `isOutdated`: the schema was migrated since it began, so what it has made is of no use.
   */
  async take(id: string): Promise<{ readonly run: UpkeepRun; readonly isOutdated: boolean } | undefined> {
    const { rows } = await this.pool.query<Row & { readonly isOutdated: boolean }>(
      `update jobledger.upkeep u
        set holder = $2, held_until = clock_timestamp() + $3::int * interval '1 ms', schema = ${SCHEMA}
        from (select id as old_id, schema as old_schema from jobledger.upkeep where id = $1 for update) o
        where u.id = o.old_id and u.state = 'running'
          and (u.holder is null or u.holder = $2 or u.held_until < clock_timestamp())
        returning ${COLUMNS}, o.old_schema <> u.schema as "isOutdated"`,
      [id, this.instanceId, HOLD_MS],
    );
    const [row] = rows;
    if (row === undefined) return undefined;
    const { isOutdated, ...run } = row;
    return { run: toRun(run), isOutdated };
  }

  /** Says how far it is, and holds it on; false when another process has it. */
  async renew(id: string, { step, position, events, eventsPerSecond }: UpkeepProgress): Promise<boolean> {
    const { rowCount } = await this.pool.query(
      `update jobledger.upkeep set held_until = clock_timestamp() + $3::int * interval '1 ms', step = $4, position = $5,
          events = $6, events_per_second = $7
        where id = $1 and holder = $2 and state = 'running'`,
      [id, this.instanceId, HOLD_MS, step, position, events, eventsPerSecond],
    );
    return rowCount === 1;
  }

  /** In the transaction that does what the step stands for; false when another process has the run. */
  async enter(tx: Tx, id: string, step: UpkeepStep, result: object | null): Promise<boolean> {
    const rows = await tx.query<{ id: string }>({
      text: `update jobledger.upkeep set step = $3, result = coalesce($4, result)
        where id = $1 and holder = $2 and state = 'running' returning id`,
      values: [id, this.instanceId, step, result === null ? null : JSON.stringify(result)],
    });
    return rows.length === 1;
  }

  async finish(id: string, outcome: { readonly result?: object; readonly error?: string }): Promise<void> {
    const { result = null, error = null } = outcome;
    await this.pool.query(
      `update jobledger.upkeep set state = $3, result = coalesce($4, result), error = $5,
          finished_at = clock_timestamp(), holder = null, held_until = null
        where id = $1 and holder = $2 and state = 'running'`,
      [id, this.instanceId, error === null ? 'done' : 'failed', result === null ? null : JSON.stringify(result), error],
    );
  }

  /** Lets another process go on at once. */
  async release(id: string): Promise<void> {
    await this.pool.query(
      `update jobledger.upkeep set holder = null, held_until = null where id = $1 and holder = $2 and state = 'running'`,
      [id, this.instanceId],
    );
  }

  private async rows(text: string, values: readonly unknown[]): Promise<readonly UpkeepRun[]> {
    const { rows } = await this.pool.query<Row>(text, [...values]);
    return rows.map(toRun);
  }
}

/** `jsonb` gives members back in an order of its own. */
const sortedLike = (order: object, value: Readonly<Record<string, unknown>>): object =>
  Object.fromEntries([...new Set([...Object.keys(order), ...Object.keys(value)])].map((key) => [key, value[key]]));

/** Lists of jobs. Each is one statement; pages go on after a key, so that jobs which come and go shift nothing. */
import type { Pool } from 'pg';
import type { JobStatus } from '../../domain/job-chart.js';
import type { Instant } from '../../domain/job-events.js';
import type { Position } from '../../event-store/event-store.js';
import { isSound, JOB_COLUMNS, toStoredJob, type WitnessedRecord } from './job-rows.js';
import { isDamage, type StoredJob } from './stored-job.js';

/** Filters are ANDed, the values of one ORed; absent: any. */
export interface JobFilter {
  readonly status?: readonly JobStatus[] | undefined;
  readonly type?: readonly string[] | undefined;
  readonly queue?: readonly string[] | undefined;
  readonly tag?: readonly string[] | undefined;
  /** Who holds the job now. */
  readonly workerId?: readonly string[] | undefined;
  /** Of the current error. */
  readonly errorCode?: readonly string[] | undefined;
  readonly createdAfter?: Instant | undefined;
  readonly createdBefore?: Instant | undefined;
  /** Of the current or last attempt. */
  readonly startedBefore?: Instant | undefined;
  /** The last sign of work is older than this; a job that never worked has none. */
  readonly silentForMs?: number | undefined;
  readonly deadLettered?: boolean | undefined;
}

export type SortField = 'createdAt' | 'statusSince' | 'priority';

export interface JobOrder {
  readonly by: SortField;
  readonly descending: boolean;
}

/** Where a job stands in an order; the id breaks ties. */
export interface JobKey {
  readonly value: string | number;
  readonly id: string;
}

export interface JobList {
  readonly filter: JobFilter;
  readonly order: JobOrder;
  readonly limit: number;
  /** Jobs after this one; null: from the first. */
  readonly after: JobKey | null;
}

const COLUMN: Readonly<Record<SortField, { readonly name: string; readonly type: string }>> = {
  createdAt: { name: 'j.created_at', type: 'timestamptz' },
  statusSince: { name: 'j.status_since', type: 'timestamptz' },
  priority: { name: 'j.priority', type: 'int' },
};

/** Longer ago than any job: an interval has an end, a number of milliseconds has none. */
const MAX_SILENCE_MS = 100 * 365 * 86_400_000;

class Conditions {
  readonly values: unknown[] = [];
  private readonly texts: string[] = [];

  value(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }

  add(text: string): this {
    this.texts.push(text);
    return this;
  }

  /** Nothing when the filter does not ask. */
  when(value: unknown, text: (parameter: string) => string): this {
    return value === undefined ? this : this.add(text(this.value(value)));
  }

  /** One value is compared, so that an index in the list's order serves it. */
  oneOf(expression: string, values: readonly string[] | undefined): this {
    if (values?.length === 1) return this.when(values[0], (p) => `${expression} = ${p}::text`);
    return this.when(values, (p) => `${expression} = any (${p}::text[])`);
  }

  get text(): string {
    return this.texts.length === 0 ? 'true' : this.texts.join(' and ');
  }
}

const conditionsOf = (filter: JobFilter): Conditions => {
  const silentForMs = filter.silentForMs === undefined ? undefined : Math.min(filter.silentForMs, MAX_SILENCE_MS);
  const conditions = new Conditions()
    .oneOf('j.status', filter.status)
    .oneOf('j.type', filter.type)
    .oneOf('j.queue', filter.queue)
    .when(filter.tag, (p) => `j.tags ?| ${p}::text[]`)
    .oneOf(`(j.doc -> 'lease' ->> 'workerId')`, filter.workerId)
    .oneOf(`(j.doc -> 'error' ->> 'code')`, filter.errorCode)
    .when(filter.createdAfter, (p) => `j.created_at > ${p}::timestamptz`)
    .when(filter.createdBefore, (p) => `j.created_at < ${p}::timestamptz`)
    .when(filter.startedBefore, (p) => `(j.doc ->> 'startedAt')::timestamptz < ${p}::timestamptz`)
    .when(silentForMs, (p) => `j.last_activity_at < clock_timestamp() - ${p}::bigint * interval '1 ms'`);
  // Without a parameter, so that the index of dead letters serves it.
  if (filter.deadLettered !== undefined)
    conditions.add(filter.deadLettered ? 'j.dead_lettered' : 'not j.dead_lettered');
  return conditions;
};

export const keyOf = ({ job }: StoredJob, { by }: JobOrder): JobKey => ({ value: job[by], id: job.id });

export class JobQueries {
  /**
   * @param remade writes the row that the log says in place of one that may not be served, and tells the job.
   * @param catchUp brings rows to the end of a log elsewhere; absent: they are there when an event is
   */
  constructor(
    private readonly pool: Pool,
    private readonly remade: (jobId: string) => Promise<StoredJob | null>,
    private readonly catchUp?: (ids: readonly string[]) => Promise<void>,
  ) {}

  list({ filter, order, limit, after }: JobList): Promise<readonly StoredJob[]> {
    const conditions = conditionsOf(filter);
    const column = COLUMN[order.by];
    if (after !== null) {
      const key = `(${conditions.value(after.value)}::${column.type}, ${conditions.value(after.id)}::uuid)`;
      conditions.add(`(${column.name}, j.id) ${order.descending ? '<' : '>'} ${key}`);
    }
    const direction = order.descending ? 'desc' : 'asc';
    const sorted = `order by ${column.name} ${direction}, j.id ${direction} limit ${conditions.value(limit)}`;
    return this.read(conditions, sorted);
  }

  /**
   * Of jobs that changed those that pass the filter, in order of their last position; each is at its change, or further.
   * @param changes positions of events of the jobs, by their ids
   */
  async among(changes: ReadonlyMap<string, Position>, filter: JobFilter): Promise<readonly StoredJob[]> {
    if (changes.size === 0) return [];
    const ids = [...changes.keys()];
    if (this.catchUp !== undefined) await this.catchUp(await this.behind(changes));
    const conditions = conditionsOf(filter).when(ids, (p) => `j.id = any (${p}::uuid[])`);
    return this.read(conditions, 'order by j.position');
  }

  /** Jobs whose rows do not know of their changes yet. */
  private async behind(changes: ReadonlyMap<string, Position>): Promise<readonly string[]> {
    const { rows } = await this.pool.query<{ id: string }>({
      name: 'jobs-behind',
      text: `select c.id from unnest($1::uuid[], $2::bigint[]) as c (id, position)
        left join jobledger.jobs j on j.id = c.id where j.position is null or j.position < c.position`,
      values: [[...changes.keys()], [...changes.values()]],
    });
    return rows.map(({ id }) => id);
  }

  /**
   * A row that may not be served is written anew, and may then pass the filter no more. One that cannot be, since an event
   * of its job cannot be read, is told as far as the job can be, or left out: it must not take the list with it.
   */
  private async read(conditions: Conditions, sorted: string): Promise<readonly StoredJob[]> {
    const ask = async (): Promise<readonly WitnessedRecord[]> => {
      const text = `select ${JOB_COLUMNS} from jobledger.jobs j where ${conditions.text} ${sorted}`;
      return (await this.pool.query<WitnessedRecord>(text, conditions.values)).rows;
    };
    const rows = await ask();
    const wrong = rows.filter((row) => !isSound(row));
    if (wrong.length === 0) return rows.map(toStoredJob);
    const orNone = (error: unknown): null => {
      if (isDamage(error)) return null;
      throw error;
    };
    const remade = new Map(
      await Promise.all(wrong.map(async ({ id }) => [id, await this.remade(id).catch(orNone)] as const)),
    );
    return (await ask()).flatMap((row) => (isSound(row) ? toStoredJob(row) : (remade.get(row.id) ?? [])));
  }
}

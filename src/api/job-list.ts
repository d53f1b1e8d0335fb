/** Pages of jobs: from the parameters of a list to the wire. */
import { Injectable } from '@nestjs/common';
import { JobQueries, keyOf, type JobFilter, type JobKey, type JobOrder } from '../projections/jobs/job-queries.js';
import type * as wire from './contract.js';
import { JobReader } from './job-reader.js';
import { type CursorKey, decodeCursor, encodeCursor } from './list-cursor.js';
import { parseInstant } from './requests/fields.js';

/** `-createdAt` is descending. */
export const orderOf = (sort: wire.JobSort): JobOrder => {
  const descending = sort.startsWith('-');
  return { by: (descending ? sort.slice(1) : sort) as JobOrder['by'], descending };
};

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const isKeyOf =
  ({ by }: JobOrder) =>
  (key: CursorKey): key is readonly [string | number, string] => {
    const [value, id] = key;
    const isValue =
      by === 'priority' ? Number.isInteger(value) : typeof value === 'string' && parseInstant(value) === value;
    return key.length === 2 && isValue && typeof id === 'string' && UUID.test(id);
  };

interface Page {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

@Injectable()
export class JobList {
  constructor(
    private readonly queries: JobQueries,
    private readonly jobs: JobReader,
  ) {}

  /** @param name of the list: its cursors are of no other. */
  async page(name: string, filter: JobFilter, sort: wire.JobSort, page: Page): Promise<wire.Page<wire.Job>> {
    const { limit, cursor } = page;
    const order = orderOf(sort);
    const list = { name, filter, sort };
    const after = cursor === undefined ? null : this.keyIn(list, cursor, order);
    // One more tells whether there is a next page.
    const found = await this.queries.list({ filter, order, limit: limit + 1, after });
    const shown = found.slice(0, limit);
    const last = found.length > limit ? shown.at(-1) : undefined;
    const key = last === undefined ? undefined : keyOf(last, order);
    return {
      items: await this.jobs.views(shown),
      nextCursor: key === undefined ? null : encodeCursor(list, [key.value, key.id]),
    };
  }

  private keyIn(list: unknown, cursor: string, order: JobOrder): JobKey {
    const [value, id] = decodeCursor(list, cursor, isKeyOf(order));
    return { value, id };
  }
}

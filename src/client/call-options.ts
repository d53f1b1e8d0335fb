/** What calls take beside what they say. */
import type * as wire from '../api/contract.js';
import type { CallOptions } from './transport.js';

/** What a command takes. */
export interface CommandOptions extends CallOptions {
  /** The same key with the same body gives the first answer, for at least 24 h. Default a new UUID. */
  readonly idempotencyKey?: string;
  /** Refuse with `precondition_failed` when the job is at another revision. */
  readonly ifMatch?: number;
}

/** What a question takes. */
export interface ReadOptions extends CallOptions {
  /** Answer only when at least as fresh as this position, as a command's answer names it. */
  readonly minPosition?: wire.Position;
}

/** What lists take: 1–200 a page, default 50. */
export interface PageQuery {
  readonly limit?: number | undefined;
  /** `nextCursor` of the page before, with the same filter and sort. */
  readonly cursor?: string | undefined;
}

export interface JobQuery extends wire.JobFilter, PageQuery {
  readonly sort?: wire.JobSort | undefined;
}

export interface EventQuery extends PageQuery {
  /** Begin behind this position. Default `0`. */
  readonly after?: wire.Position | undefined;
  /** Event types. Default all. */
  readonly types?: readonly string[] | undefined;
}

export interface JobEventQuery extends PageQuery {
  /** By position. Default `asc`. */
  readonly order?: 'asc' | 'desc' | undefined;
}

/** Where a stream begins, and what it leaves out. */
export interface StreamQuery extends wire.JobFilter {
  /** Default: from now. `0` is the start of the log. */
  readonly after?: wire.Position | undefined;
}

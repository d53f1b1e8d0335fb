/** Query parameters of lists, histories and streams. Filters are ANDed, the values of one ORed. */
import { z } from 'zod';
import { JOB_STATUSES, type JobStatus } from '../../domain/job-chart.js';
import type { JobSort } from '../contract.js';
import { errorCode, name, notBuilt, parseInstant } from './fields.js';
import {
  choiceParameter,
  flagParameter,
  numberParameter,
  parsedParameter,
  parsePosition,
  position,
  repeatable,
} from './query-fields.js';

export const DEFAULT_LIMIT = 50;
export const MAX_LIMIT = 200;
const MAX_WAIT_MS = 60_000;
const TIME = 'a time of RFC 3339, as 2026-01-31T12:00:00.000Z';

const query = <Shape extends z.core.$ZodShape>(shape: Shape) => z.strictObject(shape);

const time = parsedParameter(TIME, parseInstant).meta({ format: 'date-time' });

const status = parsedParameter(`one of ${JOB_STATUSES.join(', ')}`, (written): JobStatus | undefined =>
  JOB_STATUSES.find((known) => known === written.toLowerCase()),
);

const EVENT_TYPE = /^[A-Z][A-Za-z]{0,119}$/;
const eventType = z.string().regex(EVENT_TYPE, { error: 'must be event types, as JobCompleted' });

/** Repeated, or with commas: no type has one. */
const eventTypes = z.preprocess(
  (value) =>
    (Array.isArray(value) ? (value as unknown[]) : [value]).flatMap((each) =>
      typeof each === 'string' ? each.split(',') : [each],
    ),
  z.array(eventType),
);

const page = {
  limit: numberParameter(1, MAX_LIMIT).default(DEFAULT_LIMIT),
  /** Of the page before; it belongs to its filter and sort. */
  cursor: z.string({ error: 'must be given once' }).min(1, { error: 'must be the nextCursor of a page' }).optional(),
};

const ofJob = {
  status: repeatable(status).optional(),
  type: repeatable(name).optional(),
  queue: repeatable(name).optional(),
  tag: repeatable(name).optional(),
  parentId: notBuilt('families of jobs'),
};

const filter = {
  ...ofJob,
  workerId: repeatable(name).optional(),
  errorCode: repeatable(errorCode).optional(),
  createdAfter: time.optional(),
  createdBefore: time.optional(),
  startedBefore: time.optional(),
  silentForMs: numberParameter(0, Number.MAX_SAFE_INTEGER, 'whole milliseconds').optional(),
  deadLettered: flagParameter.optional(),
};

const SORTS = ['-createdAt', 'createdAt', '-statusSince', 'statusSince', '-priority'] as const satisfies JobSort[];

/** `GET /v1/jobs`. */
export const listJobs = query({ ...filter, sort: choiceParameter(...SORTS).default('-createdAt'), ...page });
export type ListJobsQuery = z.output<typeof listJobs>;

/** `GET /v1/dead-letters`: as the list of jobs, of those that are dead letters. */
const { deadLettered: _always, ...deadLetterFilter } = filter;
export const listDeadLetters = query({ ...deadLetterFilter, ...page });
export type ListDeadLettersQuery = z.output<typeof listDeadLetters>;

/** Lists that take no filter: queues, logs of a job. */
export const pageOnly = query(page);
export type PageQuery = z.output<typeof pageOnly>;

/** A past moment: a position of the log, or a time. */
export type AsOf = { readonly position: string } | { readonly time: string };

const parseAsOf = (written: string): AsOf | undefined => {
  const asPosition = parsePosition(written);
  if (asPosition !== undefined) return { position: asPosition };
  const asTime = parseInstant(written);
  return asTime === undefined ? undefined : { time: asTime };
};

/** `GET /v1/jobs/{id}`. */
export const getJob = query({
  asOf: parsedParameter(`a position, or ${TIME}`, parseAsOf).optional(),
  waitMs: numberParameter(0, MAX_WAIT_MS, `whole milliseconds from 0 to ${MAX_WAIT_MS}`).default(0),
});
export type GetJobQuery = z.output<typeof getJob>;

/** `GET /v1/jobs/{id}/events`, by position. */
export const jobEvents = query({ order: choiceParameter('asc', 'desc').default('asc'), ...page });
export type JobEventsQuery = z.output<typeof jobEvents>;

/** `GET /v1/events`: those after a position, that of the start unless said otherwise. */
export const listEvents = query({ after: position.default('0'), types: eventTypes.optional(), ...page });
export type ListEventsQuery = z.output<typeof listEvents>;

/** `GET /v1/counters`. */
export const counters = query({ asOf: notBuilt('counters of the past') });

/** Calls without parameters. */
export const noQuery = query({});

/** `GET /v1/streams/events`. Absent `after` (and no `Last-Event-ID`): from now on. */
export const streamEvents = query({ after: position.optional(), types: eventTypes.optional(), ...ofJob });
export type StreamEventsQuery = z.output<typeof streamEvents>;

/** `GET /v1/streams/jobs`. */
export const streamJobs = query({ after: position.optional(), ...filter });
export type StreamJobsQuery = z.output<typeof streamJobs>;

/** `GET /v1/jobs/{id}/stream`. Without `after` it begins with the job's history. */
export const streamJob = query({
  after: position.optional(),
  types: eventTypes.optional(),
  /** `terminal`: the stream ends some time after the event that ends the run. */
  until: choiceParameter('terminal').optional(),
});
export type StreamJobQuery = z.output<typeof streamJob>;

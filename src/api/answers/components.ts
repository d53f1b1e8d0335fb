/** The answers that have a name in the OpenAPI document: a client that is generated from it has types of these names. */
import { z } from 'zod';
import {
  claimAnswer,
  claimedJob,
  commandAnswer,
  commandResult,
  createJobsAnswer,
  heartbeatAnswer,
  sendCommandsAnswer,
} from './commands.js';
import { jobStatus, pageOf } from './fields.js';
import { ledgerEvent, logRow } from './history.js';
import { attemptFailure, deadline, job, jobError, lease, policy, progress, waiting } from './job.js';
import { claimer, configView, counters, live, queue, ready, reaperStatus, sweepReport } from './operations.js';
import {
  generation,
  logHead,
  parkedStream,
  projection,
  projectionList,
  rowDifference,
  upkeep,
  upkeepList,
} from './upkeep.js';

const ANSWERS = {
  JobStatus: jobStatus,
  Job: job,
  Policy: policy,
  JobError: jobError,
  AttemptFailure: attemptFailure,
  Lease: lease,
  Progress: progress,
  Waiting: waiting,
  Deadline: deadline,
  CommandAnswer: commandAnswer,
  CreateJobsAnswer: createJobsAnswer,
  ClaimedJob: claimedJob,
  ClaimAnswer: claimAnswer,
  HeartbeatAnswer: heartbeatAnswer,
  CommandResult: commandResult,
  SendCommandsAnswer: sendCommandsAnswer,
  LedgerEvent: ledgerEvent,
  LogRow: logRow,
  JobPage: pageOf(job),
  EventPage: pageOf(ledgerEvent),
  LogPage: pageOf(logRow),
  QueuePage: pageOf(queue),
  Counters: counters,
  Claimer: claimer,
  Queue: queue,
  ReaperStatus: reaperStatus,
  SweepReport: sweepReport,
  Live: live,
  Ready: ready,
  ConfigView: configView,
  LogHead: logHead,
  RowDifference: rowDifference,
  Upkeep: upkeep,
  UpkeepList: upkeepList,
  ParkedStream: parkedStream,
  Generation: generation,
  Projection: projection,
  ProjectionList: projectionList,
} as const;

export type AnswerName = keyof typeof ANSWERS;

export const referenceTo = (name: string): string => `#/components/schemas/${name}`;

/** Answers may gain fields, so none is closed. */
const leaveOpen = ({ jsonSchema }: { readonly jsonSchema: z.core.JSONSchema.BaseSchema }): void => {
  if (jsonSchema.additionalProperties === false) Reflect.deleteProperty(jsonSchema, 'additionalProperties');
};

/** JSON Schemas by name, each a reference to the others where it holds them. */
export const answerSchemas = (): Readonly<Record<AnswerName, z.core.JSONSchema.BaseSchema>> => {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(ANSWERS)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { io: 'output', uri: referenceTo, override: leaveOpen });
  const entries = Object.entries(schemas).map(([id, { $schema: _dialect, $id: _id, ...schema }]) => [id, schema]);
  return Object.fromEntries(entries) as Record<AnswerName, z.core.JSONSchema.BaseSchema>;
};

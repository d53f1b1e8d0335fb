/**
 * Every command on one job, by the name it has in its path: how its body is judged, who speaks, and what the command bus
 * is given. The single calls and `/v1/commands` both go through here, so a command means the same whichever way it came.
 */
import { createHash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { BeatJob, CommandJob, LogJob } from '../commands/bus-commands.js';
import type { Outcome } from '../commands/envelope.js';
import type { Call } from '../commands/ledger.js';
import { LeaseTokens } from '../commands/lease-token.js';
import type { JobCommand, Token } from '../domain/job-commands.js';
import { toInstant, type Value } from '../domain/job-events.js';
import type { ActorType } from '../domain/streams.js';
import { canonicalJson } from '../event-store/canonical-json.js';
import type { Clock } from '../leases/clock.js';
import { answerOf, callOf, markReplayed } from './call.js';
import type * as wire from './contract.js';
import { CLOCK } from './ports.js';
import * as client from './requests/job-commands.js';
import * as worker from './requests/worker-calls.js';

/** A call on one job, with its body as its schema gives it back. */
interface Asked<Body> {
  readonly jobId: string;
  readonly body: Body;
  readonly call: Call;
}

interface Tools {
  readonly bus: CommandBus;
  readonly tokens: LeaseTokens;
  readonly clock: Clock;
}

interface Answered<Answer> {
  readonly answer: Answer;
  readonly replayed: boolean;
}

interface JobCall<Body, Answer> {
  readonly schema: z.ZodType<Body>;
  readonly actorOf: (body: Body) => ActorType;
  readonly send: (asked: Asked<Body>, tools: Tools) => Promise<Answered<Answer>>;
}

const answered = (outcome: Outcome): Answered<wire.CommandAnswer> => ({
  answer: answerOf(outcome),
  replayed: outcome.replayed,
});

const byClient = <Body>(
  schema: z.ZodType<Body>,
  commandOf: (body: Body, now: number) => JobCommand,
): JobCall<Body, wire.CommandAnswer> => ({
  schema,
  actorOf: () => 'client',
  send: async ({ jobId, body, call }, { bus, clock }) => {
    return answered(await bus.execute(new CommandJob(jobId, commandOf(body, clock.now()), call)));
  },
});

const byWorker = <Body extends { readonly leaseToken: string }>(
  schema: z.ZodType<Body>,
  commandOf: (body: Body, token: Token) => JobCommand,
): JobCall<Body, wire.CommandAnswer> => ({
  schema,
  actorOf: () => 'worker',
  send: async ({ jobId, body, call }, { bus, tokens }) => {
    return answered(
      await bus.execute(new CommandJob(jobId, commandOf(body, tokens.read(jobId, body.leaseToken)), call)),
    );
  },
});

/** With a token, the worker starts what it claimed; without one, a client moves a draft on. */
const start: JobCall<client.StartJobBody, wire.CommandAnswer> = {
  schema: client.startJob,
  actorOf: ({ leaseToken }) => (leaseToken === null ? 'client' : 'worker'),
  send: async ({ jobId, body: { leaseToken, reason }, call }, { bus, tokens }) => {
    const token = leaseToken === null ? undefined : tokens.read(jobId, leaseToken);
    return answered(await bus.execute(new CommandJob(jobId, { name: 'start', token, reason }, call)));
  },
};

/** Equal checkpoints are no news: they are told by their digest. */
const checkpointOf = (value: Value | undefined) =>
  value === undefined ? null : { value, digest: createHash('sha256').update(canonicalJson(value)).digest('hex') };

const heartbeat: JobCall<worker.HeartbeatBody, wire.HeartbeatAnswer> = {
  schema: worker.heartbeat,
  actorOf: () => 'worker',
  send: async ({ jobId, body: { leaseToken, leaseMs, checkpoint, state }, call }, { bus, tokens }) => {
    const token = tokens.read(jobId, leaseToken);
    const command = { name: 'heartbeat', token, checkpoint: checkpointOf(checkpoint), state } as const;
    const { leaseExpiresAt, directive, replayed } = await bus.execute(new BeatJob(jobId, command, call, leaseMs));
    return { answer: { leaseExpiresAt: toInstant(leaseExpiresAt), directive }, replayed };
  },
};

const logs: JobCall<worker.WriteLogsBody, wire.CommandAnswer> = {
  schema: worker.writeLogs,
  actorOf: () => 'worker',
  send: async ({ jobId, body: { leaseToken, lines }, call }, { bus, tokens }) => {
    return answered(await bus.execute(new LogJob(jobId, tokens.read(jobId, leaseToken), lines, call)));
  },
};

const throttleBy = ({ retryAfterMs, baseMs }: worker.ThrottleBody) =>
  retryAfterMs === null ? { baseMs: baseMs ?? 0 } : { retryAfterMs };

/** By the last part of the path of `POST /v1/jobs/{id}/…`, which is also the `command` of `POST /v1/commands`. */
const JOB_CALLS = {
  start,
  cancel: byClient(client.cancelJob, ({ force, reason }) => ({ name: 'cancel', force, reason })),
  retry: byClient(client.retryJob, ({ payload, reason }) => ({
    ...{ name: 'retry', reason },
    ...(payload === undefined ? {} : { payload }),
  })),
  hold: byClient(client.holdJob, ({ reason }) => ({ name: 'hold', reason })),
  resume: byClient(client.resumeJob, ({ reason }) => ({ name: 'resume', reason })),
  reschedule: byClient(client.rescheduleJob, ({ availableAt, delayMs, reason }, now) => ({
    ...{ name: 'reschedule', reason },
    availableAt: availableAt ?? toInstant(now + (delayMs ?? 0)),
  })),
  priority: byClient(client.setPriority, ({ priority, reason }) => ({ name: 'priority', priority, reason })),
  heartbeat,
  progress: byWorker(worker.progress, ({ leaseToken: _leaseToken, reason: _reason, ...counts }, token) => ({
    ...{ name: 'progress', token },
    ...counts,
  })),
  complete: byWorker(worker.complete, ({ result }, token) => ({ name: 'complete', token, result })),
  fail: byWorker(worker.fail, ({ code, message, detail, retryable }, token) => ({
    ...{ name: 'fail', token, code, message, detail, retryable },
  })),
  throttle: byWorker(worker.throttle, (body, token) => ({
    ...{ name: 'throttle', token, reason: body.reason },
    ...throttleBy(body),
  })),
  wait: byWorker(worker.wait, ({ reason, detail, until }, token) => ({ name: 'wait', token, reason, detail, until })),
  release: byWorker(worker.release, ({ reason }, token) => ({ name: 'release', token, reason })),
  logs,
};

export type JobCallName = keyof typeof JOB_CALLS;

type BodyOf<Name extends JobCallName> = (typeof JOB_CALLS)[Name] extends JobCall<infer Body, infer _> ? Body : never;
type AnswerOf<Name extends JobCallName> =
  (typeof JOB_CALLS)[Name] extends JobCall<infer _, infer Answer> ? Answer : never;

export const JOB_CALL_NAMES = Object.keys(JOB_CALLS) as readonly JobCallName[];

export const isJobCallName = (name: unknown): name is JobCallName =>
  typeof name === 'string' && Object.hasOwn(JOB_CALLS, name);

const jobCall = (name: JobCallName) =>
  JOB_CALLS[name] as unknown as JobCall<unknown, wire.CommandAnswer | wire.HeartbeatAnswer>;

/** What judges the body of a command. */
export const bodySchemaOf = (name: JobCallName): z.ZodType => jobCall(name).schema;

/** Who gives the command, by what its body holds. */
export const actorOf = (name: JobCallName, body: unknown): ActorType => jobCall(name).actorOf(body);

@Injectable()
export class JobCalls {
  private readonly tools: Tools;

  constructor(bus: CommandBus, tokens: LeaseTokens, @Inject(CLOCK) clock: Clock) {
    this.tools = { bus, tokens, clock };
  }

  /** Gives one command to the ledger. `body` as the schema of the name gives it back. */
  send(name: JobCallName, asked: Asked<unknown>): Promise<Answered<wire.CommandAnswer | wire.HeartbeatAnswer>> {
    return jobCall(name).send(asked, this.tools);
  }

  /** The answer of a call of its own, with its headers. */
  async answer<Name extends JobCallName>(
    name: Name,
    jobId: string,
    body: BodyOf<Name>,
    reply: FastifyReply,
  ): Promise<AnswerOf<Name>> {
    const request: FastifyRequest = reply.request;
    const { answer, replayed } = await this.send(name, { jobId, body, call: callOf(request, actorOf(name, body)) });
    markReplayed(reply, replayed);
    return answer as AnswerOf<Name>;
  }
}

/**
 * Many commands in one request. Each is judged, given to the ledger and answered as if it had come alone; nothing ties it
 * to the others but their order: commands on one job, and commands under one `commandId`, go one after the other. Only
 * progress does not wait for the progress before it: facts add up in any order, and go to the log together.
 */
import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Call } from '../commands/ledger.js';
import { callOf } from './call.js';
import type * as wire from './contract.js';
import { actorOf, bodySchemaOf, isJobCallName, JobCalls, type JobCallName } from './job-calls.js';
import { accessTo, OPEN } from './keys/access.js';
import { callerOf } from './keys/caller.js';
import { requireAccess } from './keys/require-access.js';
import { NOT_BUILT } from './not-built.js';
import { notImplemented } from './problem.js';
import { toldProblem } from './problem.filter.js';
import { entryHead, type EntryHead, type SendCommandsBody } from './requests/commands.js';
import { isObject } from './requests/fields.js';
import { idempotencyKey, refuseIfMatch } from './requests/headers.js';
import { RequestBody } from './request-body.js';
import { validatedTogether } from './validation.js';

/** A command of the request, as it was sent. */
interface Entry {
  readonly index: number;
  readonly sent: unknown;
  /** Its share of the request. */
  readonly bytes: number;
  /** Of the request and its place in it: for a command that gives none. */
  readonly key: string | undefined;
}

/** A command that may be given to the ledger. */
interface Ready {
  readonly name: JobCallName;
  readonly jobId: string;
  readonly body: unknown;
  readonly call: Call;
}

const DONE = 200;

/** Commands on a job that are not built: their calls are not either. */
const NOT_BUILT_COMMANDS: ReadonlyMap<string, string> = new Map(
  NOT_BUILT.flatMap(({ methods, path, part }) => {
    const command = /^\/v1\/jobs\/:id\/([a-z-]+)$/.exec(path)?.[1];
    return command !== undefined && methods.includes('POST') ? [[command, part] as const] : [];
  }),
);

/** The reason of the request is that of a command which gives none. */
const withReason = (sent: unknown, reason: string | null): unknown =>
  reason !== null && isObject(sent) && sent['reason'] === undefined ? { ...sent, reason } : sent;

/** By the rule of the command's own call. */
const mayGive = (name: JobCallName, body: Readonly<Record<string, unknown>>, request: FastifyRequest): void => {
  const access = accessTo(`POST /v1/jobs/{id}/${name}`);
  if (access !== OPEN) requireAccess(callerOf(request), access, body);
};

/** @throws Problem with paths as `commands[3].leaseToken`. */
const ready = ({ index, sent, bytes, key }: Entry, request: FastifyRequest): Ready => {
  const within = ['commands', index];
  const { command: asked, jobId: written, commandId: _commandId, ...rest } = isObject(sent) ? sent : {};
  const part = typeof asked === 'string' ? NOT_BUILT_COMMANDS.get(asked) : undefined;
  if (part !== undefined) {
    const path = `commands[${index}].command`;
    throw notImplemented(`${asked as string}: ${part} is not built yet`, [
      { path, message: `${path} is not built yet: ${part}` },
    ]);
  }
  if (isJobCallName(asked)) mayGive(asked, rest, request);
  const bodySchema = isJobCallName(asked) ? bodySchemaOf(asked) : z.unknown();
  const [head, body] = validatedTogether(
    [
      [entryHead, sent],
      [bodySchema, rest],
    ],
    'body',
    within,
  ) as [EntryHead, unknown];
  const { command: name, jobId, commandId } = head;
  const asking = { method: 'POST', path: `/v1/jobs/${written as string}/${name}`, body: rest, ifMatch: null, bytes };
  return { name, jobId, body, call: callOf(request, actorOf(name, body), { ...asking, key: commandId ?? key }) };
};

const refused = (error: unknown, request: FastifyRequest): wire.CommandResult => {
  const problem = toldProblem(error, request).toJSON();
  return { status: problem.status, problem };
};

/** Before the first command. */
const NOTHING: Promise<unknown> = Promise.resolve();

/** Whose turn it is. What changes a job waits for all that came before it; a fact only for the last change. */
class Turns {
  private readonly places = new Map<string, { change: Promise<unknown>; facts: Promise<unknown>[] }>();

  /** @returns what it has to wait for. `done` is what those behind it wait for; it never rejects. */
  take(place: string, isFact: boolean, done: Promise<unknown>): readonly Promise<unknown>[] {
    const { change, facts } = this.places.get(place) ?? { change: NOTHING, facts: [] };
    if (isFact) {
      facts.push(done);
      this.places.set(place, { change, facts });
      return [change];
    }
    this.places.set(place, { change: done, facts: [] });
    return [change, ...facts];
  }
}

@Injectable()
export class BulkCommands {
  constructor(private readonly calls: JobCalls) {}

  /** One result for each command, in order: what goes wrong with one is its result. */
  async run({ commands, reason }: SendCommandsBody, request: FastifyRequest): Promise<readonly wire.CommandResult[]> {
    const size = request.body instanceof RequestBody ? request.body.bytes.length : 0;
    const bytes = Math.ceil(size / commands.length);
    const requestKey = idempotencyKey(request.headers, request.raw.rawHeaders);
    refuseIfMatch(request.headers);
    const jobs = new Turns();
    const keys = new Turns();
    return await Promise.all(
      commands.map(async (sent, index) => {
        const key = requestKey === undefined ? undefined : `${requestKey}#${index}`;
        try {
          const command = ready({ index, sent: withReason(sent, reason), bytes, key }, request);
          return await this.inTurn(command, request, jobs, keys);
        } catch (error) {
          return refused(error, request);
        }
      }),
    );
  }

  private inTurn(command: Ready, request: FastifyRequest, jobs: Turns, keys: Turns): Promise<wire.CommandResult> {
    const { name, jobId, call } = command;
    let begin: (() => void) | undefined;
    const done = new Promise<void>((resolve) => (begin = resolve)).then(() => this.send(command, request));
    const before = [
      ...jobs.take(jobId, name === 'progress', done),
      ...(call.idempotency === null ? [] : keys.take(call.idempotency.key.toString('base64'), false, done)),
    ];
    void Promise.all(before).then(begin);
    return done;
  }

  private async send({ name, jobId, body, call }: Ready, request: FastifyRequest): Promise<wire.CommandResult> {
    try {
      const { answer, replayed } = await this.calls.send(name, { jobId, body, call });
      return { status: DONE, answer, ...(replayed ? { replayed } : {}) };
    } catch (error) {
      return refused(error, request);
    }
  }
}

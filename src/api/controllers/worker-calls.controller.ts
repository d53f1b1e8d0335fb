import { createHash } from 'node:crypto';
import { Body, Controller, HttpCode, Param, Post, Req, Res } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { BeatJob, CommandJob, LogJob } from '../../commands/bus-commands.js';
import { LeaseTokens } from '../../commands/lease-token.js';
import type { JobCommand } from '../../domain/job-commands.js';
import { toInstant, type Value } from '../../domain/job-events.js';
import { canonicalJson } from '../../event-store/canonical-json.js';
import { answer, callOf, markReplayed } from '../call.js';
import type * as wire from '../contract.js';
import { jobId } from '../requests/paths.js';
import * as bodies from '../requests/worker-calls.js';

/** Equal checkpoints are no news: they are told by their digest. */
const checkpointOf = (value: Value | undefined) =>
  value === undefined ? null : { value, digest: createHash('sha256').update(canonicalJson(value)).digest('hex') };

const throttleBy = ({ retryAfterMs, baseMs }: bodies.ThrottleBody) =>
  retryAfterMs === null ? { baseMs: baseMs ?? 0 } : { retryAfterMs };

/** What the holder of a lease says. */
@Controller('v1/jobs/:id')
export class WorkerCallsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly tokens: LeaseTokens,
  ) {}

  @Post('heartbeat')
  @HttpCode(200)
  async heartbeat(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.heartbeat }) { leaseToken, leaseMs, checkpoint, state }: bodies.HeartbeatBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.HeartbeatAnswer> {
    const token = this.tokens.read(id, leaseToken);
    const command = { name: 'heartbeat', token, checkpoint: checkpointOf(checkpoint), state } as const;
    const outcome = await this.commands.execute(new BeatJob(id, command, callOf(request, 'worker'), leaseMs));
    markReplayed(reply, outcome.replayed);
    return { leaseExpiresAt: toInstant(outcome.leaseExpiresAt), directive: outcome.directive };
  }

  @Post('progress')
  @HttpCode(200)
  progress(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.progress }) { leaseToken, reason: _reason, ...counts }: bodies.ProgressBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.send(id, { name: 'progress', token: this.tokens.read(id, leaseToken), ...counts }, request, reply);
  }

  @Post('complete')
  @HttpCode(200)
  complete(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.complete }) { leaseToken, result }: bodies.CompleteBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.send(id, { name: 'complete', token: this.tokens.read(id, leaseToken), result }, request, reply);
  }

  @Post('fail')
  @HttpCode(200)
  fail(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.fail }) { leaseToken, code, message, detail, retryable }: bodies.FailBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    const token = this.tokens.read(id, leaseToken);
    return this.send(id, { name: 'fail', token, code, message, detail, retryable }, request, reply);
  }

  @Post('throttle')
  @HttpCode(200)
  throttle(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.throttle }) body: bodies.ThrottleBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    const token = this.tokens.read(id, body.leaseToken);
    return this.send(id, { name: 'throttle', token, reason: body.reason, ...throttleBy(body) }, request, reply);
  }

  @Post('wait')
  @HttpCode(200)
  wait(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.wait }) { leaseToken, reason, detail, until }: bodies.WaitBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    const token = this.tokens.read(id, leaseToken);
    return this.send(id, { name: 'wait', token, reason, detail, until }, request, reply);
  }

  @Post('release')
  @HttpCode(200)
  release(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.release }) { leaseToken, reason }: bodies.ReleaseBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.send(id, { name: 'release', token: this.tokens.read(id, leaseToken), reason }, request, reply);
  }

  @Post('logs')
  @HttpCode(200)
  async logs(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.writeLogs }) { leaseToken, lines }: bodies.WriteLogsBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    const token = this.tokens.read(id, leaseToken);
    return answer(reply, await this.commands.execute(new LogJob(id, token, lines, callOf(request, 'worker'))));
  }

  private async send(
    id: string,
    command: JobCommand,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return answer(reply, await this.commands.execute(new CommandJob(id, command, callOf(request, 'worker'))));
  }
}

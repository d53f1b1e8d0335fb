import { Body, Controller, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CommandJob } from '../../commands/bus-commands.js';
import { LeaseTokens } from '../../commands/lease-token.js';
import { toInstant } from '../../domain/job-events.js';
import type { JobCommand } from '../../domain/job-commands.js';
import type { ActorType } from '../../domain/streams.js';
import type { Clock } from '../../leases/clock.js';
import { answer, callOf } from '../call.js';
import type * as wire from '../contract.js';
import { CLOCK } from '../ports.js';
import * as bodies from '../requests/job-commands.js';
import { jobId } from '../requests/paths.js';

/** What clients ask of a job. */
@Controller('v1/jobs/:id')
export class JobCommandsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly tokens: LeaseTokens,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** With a token, the worker starts what it claimed; without one, a client moves a draft on. */
  @Post('start')
  @HttpCode(200)
  start(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.startJob }) { leaseToken, reason }: bodies.StartJobBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    const token = leaseToken === null ? undefined : this.tokens.read(id, leaseToken);
    const actor = token === undefined ? 'client' : 'worker';
    return this.send(id, { name: 'start', token, reason }, request, reply, actor);
  }

  @Post('cancel')
  @HttpCode(200)
  cancel(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.cancelJob }) { force, reason }: bodies.CancelJobBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.send(id, { name: 'cancel', force, reason }, request, reply);
  }

  @Post('retry')
  @HttpCode(200)
  retry(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.retryJob }) { payload, reason }: bodies.RetryJobBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    const given = payload === undefined ? {} : { payload };
    return this.send(id, { name: 'retry', ...given, reason }, request, reply);
  }

  /** A worker that holds the job is told with its next heartbeat, and its next `release` or `wait` honours it. */
  @Post('hold')
  @HttpCode(200)
  hold(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.holdJob }) { reason }: bodies.HoldJobBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.send(id, { name: 'hold', reason }, request, reply);
  }

  @Post('resume')
  @HttpCode(200)
  resume(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.resumeJob }) { reason }: bodies.ResumeJobBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.send(id, { name: 'resume', reason }, request, reply);
  }

  @Post('reschedule')
  @HttpCode(200)
  reschedule(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.rescheduleJob }) { availableAt, delayMs, reason }: bodies.RescheduleJobBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    const at = availableAt ?? toInstant(this.clock.now() + (delayMs ?? 0));
    return this.send(id, { name: 'reschedule', availableAt: at, reason }, request, reply);
  }

  @Post('priority')
  @HttpCode(200)
  priority(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.setPriority }) { priority, reason }: bodies.SetPriorityBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.send(id, { name: 'priority', priority, reason }, request, reply);
  }

  private async send(
    id: string,
    command: JobCommand,
    request: FastifyRequest,
    reply: FastifyReply,
    actor: ActorType = 'client',
  ): Promise<wire.CommandAnswer> {
    return answer(reply, await this.commands.execute(new CommandJob(id, command, callOf(request, actor))));
  }
}

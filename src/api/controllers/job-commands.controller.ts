import { Body, Controller, HttpCode, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type * as wire from '../contract.js';
import { JobCalls } from '../job-calls.js';
import * as bodies from '../requests/job-commands.js';
import { jobId } from '../requests/paths.js';

/** What clients ask of a job. */
@Controller('v1/jobs/:id')
export class JobCommandsController {
  constructor(private readonly calls: JobCalls) {}

  @Post('start')
  @HttpCode(200)
  start(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.startJob }) body: bodies.StartJobBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.calls.answer('start', id, body, reply);
  }

  @Post('cancel')
  @HttpCode(200)
  cancel(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.cancelJob }) body: bodies.CancelJobBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.calls.answer('cancel', id, body, reply);
  }

  @Post('retry')
  @HttpCode(200)
  retry(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.retryJob }) body: bodies.RetryJobBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.calls.answer('retry', id, body, reply);
  }

  /** A worker that holds the job is told with its next heartbeat, and its next `release` or `wait` honours it. */
  @Post('hold')
  @HttpCode(200)
  hold(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.holdJob }) body: bodies.HoldJobBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.calls.answer('hold', id, body, reply);
  }

  @Post('resume')
  @HttpCode(200)
  resume(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.resumeJob }) body: bodies.ResumeJobBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.calls.answer('resume', id, body, reply);
  }

  @Post('reschedule')
  @HttpCode(200)
  reschedule(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.rescheduleJob }) body: bodies.RescheduleJobBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.calls.answer('reschedule', id, body, reply);
  }

  @Post('priority')
  @HttpCode(200)
  priority(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.setPriority }) body: bodies.SetPriorityBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.calls.answer('priority', id, body, reply);
  }
}

import { Body, Controller, HttpCode, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type * as wire from '../contract.js';
import { JobCalls } from '../job-calls.js';
import * as bodies from '../requests/worker-calls.js';
import { jobId } from '../requests/paths.js';

/** What the holder of a lease says. */
@Controller('v1/jobs/:id')
export class WorkerCallsController {
  constructor(private readonly calls: JobCalls) {}

  @Post('heartbeat')
  @HttpCode(200)
  heartbeat(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.heartbeat }) body: bodies.HeartbeatBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.HeartbeatAnswer> {
    return this.calls.answer('heartbeat', id, body, reply);
  }

  @Post('progress')
  @HttpCode(200)
  progress(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.progress }) body: bodies.ProgressBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.calls.answer('progress', id, body, reply);
  }

  @Post('complete')
  @HttpCode(200)
  complete(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.complete }) body: bodies.CompleteBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.calls.answer('complete', id, body, reply);
  }

  @Post('fail')
  @HttpCode(200)
  fail(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.fail }) body: bodies.FailBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.calls.answer('fail', id, body, reply);
  }

  @Post('throttle')
  @HttpCode(200)
  throttle(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.throttle }) body: bodies.ThrottleBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.calls.answer('throttle', id, body, reply);
  }

  @Post('wait')
  @HttpCode(200)
  wait(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.wait }) body: bodies.WaitBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.calls.answer('wait', id, body, reply);
  }

  @Post('release')
  @HttpCode(200)
  release(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.release }) body: bodies.ReleaseBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.calls.answer('release', id, body, reply);
  }

  @Post('logs')
  @HttpCode(200)
  logs(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: bodies.writeLogs }) body: bodies.WriteLogsBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.calls.answer('logs', id, body, reply);
  }
}

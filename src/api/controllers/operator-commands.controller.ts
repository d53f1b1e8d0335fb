import { Body, Controller, HttpCode, Param, Post, Req, Res } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CommandJob } from '../../commands/bus-commands.js';
import type { JobCommand } from '../../domain/job-commands.js';
import { answer, callOf } from '../call.js';
import type * as wire from '../contract.js';
import { cancelJob, type CancelJobBody, operateJob, type OperateJobBody } from '../requests/job-commands.js';
import { jobId } from '../requests/paths.js';

/** What an operator does to a job by hand: commands like any other, decided on the state of the job at that moment. */
@Controller('v1/admin/jobs/:id')
export class OperatorCommandsController {
  constructor(private readonly commands: CommandBus) {}

  /** Of a job that somebody works on or waits for: the run fails as `ManualTimeout`. */
  @Post('force-fail')
  @HttpCode(200)
  forceFail(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: operateJob }) { reason }: OperateJobBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.send(id, { name: 'force-fail', reason }, request, reply);
  }

  @Post('cancel')
  @HttpCode(200)
  cancel(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: cancelJob }) { force, reason }: CancelJobBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.send(id, { name: 'cancel', force, reason }, request, reply);
  }

  /** Takes a job away from its worker, or gives a dead letter a new run. */
  @Post('requeue')
  @HttpCode(200)
  requeue(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: operateJob }) { reason }: OperateJobBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.send(id, { name: 'requeue', reason }, request, reply);
  }

  /** Whatever the job is doing, its run fails as `EmergencyStop`; of one that has ended nothing is left to stop. */
  @Post('emergency-stop')
  @HttpCode(200)
  emergencyStop(
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: operateJob }) { reason }: OperateJobBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return this.send(id, { name: 'emergency-stop', reason }, request, reply);
  }

  private async send(
    id: string,
    command: JobCommand,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    return answer(reply, await this.commands.execute(new CommandJob(id, command, callOf(request, 'operator'))));
  }
}

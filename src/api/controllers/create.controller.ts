import { Body, Controller, Inject, Post, Req, Res } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CreateJob } from '../../commands/bus-commands.js';
import { CommandMeter, successOf } from '../../commands/command-meter.js';
import { Ledger } from '../../commands/ledger.js';
import { v7 } from '../../commands/uuid.js';
import type { Clock } from '../../leases/clock.js';
import { answer, answerOf, callOf, markReplayed } from '../call.js';
import type * as wire from '../contract.js';
import { callerOf } from '../keys/caller.js';
import { newJob } from '../new-job.js';
import { CLOCK } from '../ports.js';
import { createJob, type CreateJobBody, createJobs, type CreateJobsBody } from '../requests/create.js';
import { combinations, expandedBytes } from '../requests/grid.js';
import { refuseIfMatch } from '../requests/headers.js';

/** The jobs that are asked for, and the bytes of what is made here of a grid. */
const jobsOf = ({ jobs, template, grid }: CreateJobsBody): { jobs: readonly CreateJobBody[]; bytes: number } => {
  if (template === null || grid === null) return { jobs: jobs ?? [], bytes: 0 };
  const made = combinations(template.payload, grid).map((payload) => ({ ...template, payload }));
  return { jobs: made, bytes: expandedBytes(template.payload, grid) };
};

@Controller('v1/jobs')
export class CreateController {
  constructor(
    private readonly commands: CommandBus,
    private readonly ledger: Ledger,
    private readonly meter: CommandMeter,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  @Post()
  async create(
    @Body({ schema: createJob }) body: CreateJobBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CommandAnswer> {
    refuseIfMatch(request.headers);
    const job = newJob(body, this.clock.now(), v7(), callerOf(request).id);
    return answer(reply, await this.commands.execute(new CreateJob(job, callOf(request))));
  }

  /** Straight to the ledger: a thousand jobs are one call of it, not a thousand commands. */
  @Post('batch')
  async createAll(
    @Body({ schema: createJobs }) body: CreateJobsBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.CreateJobsAnswer> {
    refuseIfMatch(request.headers);
    const now = this.clock.now();
    const correlationId = v7();
    const { id } = callerOf(request);
    const { jobs, bytes } = jobsOf(body);
    const made = jobs.map((job) => newJob({ ...job, reason: job.reason ?? body.reason }, now, correlationId, id));
    const call = callOf(request);
    const outcomes = await this.meter.measure(
      'create',
      { ...call, bytes: Math.max(call.bytes, bytes) },
      (traced) => this.ledger.create(made, traced),
      ([first]) => successOf(first!),
      made.length,
    );
    markReplayed(
      reply,
      outcomes.some((outcome) => outcome.replayed),
    );
    return { items: outcomes.map(answerOf) };
  }
}

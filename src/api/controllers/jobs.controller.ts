import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { JobNotFound } from '../../commands/errors.js';
import { comparePositions, type EventStore } from '../../event-store/event-store.js';
import { readableJob } from '../../projections/jobs/job-history.js';
import { shown } from '../../projections/jobs/stored-job.js';
import type * as wire from '../contract.js';
import { EndOfRun } from '../end-of-run.js';
import { Freshness, stamp } from '../freshness.js';
import { hangUpOf } from '../hang-up.js';
import { JobList } from '../job-list.js';
import { JobReader } from '../job-reader.js';
import { EVENT_STORE } from '../ports.js';
import { jobId } from '../requests/paths.js';
import {
  type AsOf,
  getJob,
  type GetJobQuery,
  listDeadLetters,
  type ListDeadLettersQuery,
  listJobs,
  type ListJobsQuery,
} from '../requests/queries.js';

@Controller('v1')
export class JobsController {
  constructor(
    private readonly jobs: JobReader,
    private readonly list: JobList,
    private readonly endOfRun: EndOfRun,
    private readonly freshness: Freshness,
    @Inject(EVENT_STORE) private readonly store: EventStore,
  ) {}

  @Get('jobs')
  async listed(
    @Query({ schema: listJobs }) { sort, limit, cursor, ...filter }: ListJobsQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.Page<wire.Job>> {
    await this.freshness.ofJobs(request, reply);
    return this.list.page('jobs', filter, sort, { limit, cursor });
  }

  /** Jobs whose run was exhausted or failed for good, and that nobody has retried. */
  @Get('dead-letters')
  async deadLetters(
    @Query({ schema: listDeadLetters }) { limit, cursor, ...filter }: ListDeadLettersQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.Page<wire.DeadLetter>> {
    await this.freshness.ofJobs(request, reply);
    return this.list.page('dead-letters', { ...filter, deadLettered: true }, '-createdAt', { limit, cursor });
  }

  @Get('jobs/:id')
  async get(
    @Param('id', { schema: jobId }) id: string,
    @Query({ schema: getJob }) { asOf, waitMs }: GetJobQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.Job> {
    const head = await this.freshness.ofLog(request, reply);
    if (asOf !== undefined) return this.past(id, asOf, reply);
    const stored = await this.endOfRun.wait(id, waitMs, hangUpOf(reply));
    if (comparePositions(stored.position, head) > 0) stamp(reply, stored.position);
    const [view] = await this.jobs.views([stored]);
    return view!;
  }

  private async past(id: string, asOf: AsOf, reply: FastifyReply): Promise<wire.Job> {
    if ('position' in asOf) {
      await this.freshness.notBeyondHead(asOf.position, 'asOf');
      stamp(reply, asOf.position);
    } else {
      await this.freshness.notInFuture(asOf.time, 'asOf');
    }
    const stored = shown(await readableJob(this.store, id, asOf));
    if (stored === null) throw new JobNotFound(id, 'at that moment it was not created yet, or it never was');
    return this.jobs.past(stored);
  }
}

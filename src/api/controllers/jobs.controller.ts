import { Controller, Get, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type * as wire from '../contract.js';
import { Freshness } from '../freshness.js';
import { JobReader } from '../job-reader.js';
import { jobId } from '../requests/paths.js';
import { getJob, type GetJobQuery } from '../requests/queries.js';

@Controller('v1/jobs')
export class JobsController {
  constructor(
    private readonly jobs: JobReader,
    private readonly freshness: Freshness,
  ) {}

  @Get(':id')
  async get(
    @Param('id', { schema: jobId }) id: string,
    @Query({ schema: getJob }) _query: GetJobQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.Job> {
    await this.freshness.ofJobs(request, reply);
    return this.jobs.one(id);
  }
}

import { Body, Controller, HttpCode, Post, Req, Res } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ClaimJobs } from '../../commands/bus-commands.js';
import type { ClaimedJob } from '../../commands/claim-request.js';
import { LeaseTokens } from '../../commands/lease-token.js';
import { Claimers } from '../../leases/claimers.js';
import { callOf, markReplayed } from '../call.js';
import type * as wire from '../contract.js';
import { hangUpOf } from '../hang-up.js';
import { JobReader } from '../job-reader.js';
import { claim, type ClaimBody } from '../requests/worker-calls.js';
import { refuseIfMatch } from '../requests/headers.js';

@Controller('v1/claims')
export class ClaimsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly jobs: JobReader,
    private readonly tokens: LeaseTokens,
    private readonly claimers: Claimers,
  ) {}

  @Post()
  @HttpCode(200)
  async claim(
    @Body({ schema: claim }) body: ClaimBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.ClaimAnswer> {
    refuseIfMatch(request.headers);
    const { workerId, queues, types, max, waitMs, leaseMs, start } = body;
    const { origin, idempotency } = callOf(request, 'worker');
    const filter = { ...(queues === null ? {} : { queues }), ...(types === null ? {} : { types }) };
    this.claimers.note(workerId, filter);
    const claimed = await this.commands.execute(
      new ClaimJobs({
        ...{ workerId, filter, max, waitMs, leaseMs, start, idempotency },
        origin: { ...origin, actor: { type: 'worker', id: workerId } },
        signal: hangUpOf(reply),
      }),
    );
    markReplayed(
      reply,
      claimed.some(({ outcome }) => outcome.replayed),
    );
    return { jobs: claimed.map((each) => this.view(each)), blocked: [] };
  }

  private view(claimed: ClaimedJob): wire.ClaimedJob {
    const { outcome, stored } = claimed;
    const { job, leaseExpiresAt } = this.jobs.claimed(claimed);
    return {
      job,
      attempt: outcome.attempt,
      leaseToken: this.tokens.issue(outcome.jobId, outcome.run, outcome.attempt),
      leaseExpiresAt,
      checkpoint: stored.values.checkpoint,
      credentials: [],
    };
  }
}

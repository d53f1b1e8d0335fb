import { Body, Controller, Get, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Ledger } from '../../commands/ledger.js';
import { Reaper } from '../../reaper/reaper.js';
import { ReaperWatch } from '../../reaper/reaper-watch.js';
import type { SweepReport } from '../../reaper/sweep.js';
import { callOf, markReplayed } from '../call.js';
import type * as wire from '../contract.js';
import { Freshness } from '../freshness.js';
import { SETTINGS } from '../ports.js';
import { sweep, type SweepBody } from '../requests/job-commands.js';
import { minPosition, refuseIfMatch } from '../requests/headers.js';

/** What operators look at and do. */
@Controller('v1')
export class OperationsController {
  constructor(
    private readonly ledger: Ledger,
    private readonly reaper: Reaper,
    private readonly watch: ReaperWatch,
    private readonly freshness: Freshness,
    @Inject(SETTINGS) private readonly settings: wire.ConfigView,
  ) {}

  @Get('reaper')
  async reaperStatus(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.ReaperStatus> {
    await this.freshness.ofJobs(request, reply);
    return this.watch.status();
  }

  /** Handles all that is due now; in any process, whether reapers run in it or not. With a key it is done once. */
  @Post('admin/reaper/sweep')
  @HttpCode(200)
  async sweep(
    @Body({ schema: sweep }) { dryRun, reason }: SweepBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SweepReport> {
    refuseIfMatch(request.headers);
    const { idempotency, origin } = callOf(request);
    const askedBy = { reason, keyId: origin.keyId ?? null };
    const { answer, replayed } = await this.ledger.remember(idempotency, () => this.reaper.sweep(dryRun, askedBy));
    markReplayed(reply, replayed);
    return answer;
  }

  @Get('config')
  async config(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.ConfigView> {
    // It says nothing of the log, and is answered without it.
    if (minPosition(request.headers) !== undefined) await this.freshness.ofLog(request, reply);
    return this.settings;
  }
}

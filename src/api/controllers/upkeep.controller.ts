import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { EventStore } from '../../event-store/event-store.js';
import type { Clock } from '../../leases/clock.js';
import { ProjectionCatalogue } from '../../projections/upkeep/catalogue.js';
import { Upkeep } from '../../projections/upkeep/upkeep.js';
import { LOG_SUBJECT, type UpkeepKind } from '../../projections/upkeep/upkeep-runs.js';
import type * as wire from '../contract.js';
import { Freshness } from '../freshness.js';
import { hangUpOf } from '../hang-up.js';
import { callerOf } from '../keys/caller.js';
import { CLOCK, EVENT_STORE } from '../ports.js';
import { notFound } from '../problem.js';
import {
  getProjection,
  getUpkeep,
  listUpkeep,
  projectionName,
  rebuildProjection,
  upkeepId,
  verifyLog,
  verifyProjection,
  type GetProjectionQuery,
  type GetUpkeepQuery,
  type ListUpkeepQuery,
  type RebuildBody,
  type VerifyLogBody,
  type VerifyProjectionBody,
} from '../requests/upkeep.js';
import { viewProjection, viewUpkeep } from '../upkeep-view.js';

const ACCEPTED = 202;

interface Asked {
  readonly kind: UpkeepKind;
  readonly subject: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly waitMs: number;
}

/** Read models that can be thrown away, and a log that can be checked. */
@Controller('v1')
export class UpkeepController {
  constructor(
    private readonly upkeep: Upkeep,
    private readonly catalogue: ProjectionCatalogue,
    @Inject(EVENT_STORE) private readonly store: EventStore,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly freshness: Freshness,
  ) {}

  /** What to keep elsewhere: whoever owns the database can write the whole chain of hashes anew, but not this. */
  @Get('log/head')
  async head(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<wire.LogHead> {
    await this.freshness.ofLog(request, reply);
    const { position, hash, at } = await this.store.head();
    return { position, hash, at };
  }

  /** Walks the whole log; names the first position that is not what was written. 202 when it takes longer. */
  @Post('admin/log/verify')
  @HttpCode(200)
  verifyLog(
    @Body({ schema: verifyLog }) { head, waitMs }: VerifyLogBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.Upkeep> {
    const kept = head === undefined ? null : { position: head.position, hash: head.hash.toLowerCase() };
    return this.run({ kind: 'verify-log', subject: LOG_SUBJECT, options: { kept }, waitMs }, reply);
  }

  @Get('admin/projections')
  async projections(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<{ readonly items: readonly wire.Projection[] }> {
    await this.freshness.ofLog(request, reply);
    const [projections, head] = await Promise.all([this.catalogue.list(), this.store.head()]);
    const now = this.clock.now();
    return { items: projections.map((projection) => viewProjection(projection, head, now)) };
  }

  /** With the streams that it skips; `?digest=true` also with the hash of all that it says. */
  @Get('admin/projections/:name')
  async projection(
    @Param('name', { schema: projectionName }) name: string,
    @Query({ schema: getProjection }) { digest }: GetProjectionQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.Projection> {
    this.known(name);
    await this.freshness.ofLog(request, reply);
    const [projections, parked, head] = await Promise.all([
      this.catalogue.list(),
      this.catalogue.parked(name),
      this.store.head(),
    ]);
    const found = projections.find((projection) => projection.name === name)!;
    const view = viewProjection(found, head, this.clock.now(), parked);
    return digest ? { ...view, digest: await this.catalogue.digest(name) } : view;
  }

  /** Makes it anew beside the live one, which goes on answering, and puts it in its place. 202 when it takes longer. */
  @Post('admin/projections/:name/rebuild')
  @HttpCode(200)
  rebuild(
    @Param('name', { schema: projectionName }) name: string,
    @Body({ schema: rebuildProjection }) { waitMs }: RebuildBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.Upkeep> {
    return this.run({ kind: 'rebuild', subject: this.known(name), options: {}, waitMs }, reply);
  }

  /** Names the rows that are not what the log says, and with `repair` puts them right. 202 when it takes longer. */
  @Post('admin/projections/:name/verify')
  @HttpCode(200)
  verify(
    @Param('name', { schema: projectionName }) name: string,
    @Body({ schema: verifyProjection }) { repair, waitMs }: VerifyProjectionBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.Upkeep> {
    return this.run({ kind: 'verify', subject: this.known(name), options: { repair }, waitMs }, reply);
  }

  /** Rebuilds and verifications, the newest first: what was repaired stays here. */
  @Get('admin/upkeep')
  async list(
    @Query({ schema: listUpkeep }) { limit }: ListUpkeepQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<{ readonly items: readonly wire.Upkeep[] }> {
    await this.freshness.ofLog(request, reply);
    const [runs, head] = await Promise.all([this.upkeep.runs.list(limit), this.store.head()]);
    const now = this.clock.now();
    return { items: runs.map((run) => viewUpkeep(run, head, now)) };
  }

  /** How far a run is, and what came of it. */
  @Get('admin/upkeep/:id')
  async one(
    @Param('id', { schema: upkeepId }) id: string,
    @Query({ schema: getUpkeep }) { waitMs }: GetUpkeepQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.Upkeep> {
    await this.freshness.ofLog(request, reply);
    return this.answer(id, waitMs, reply);
  }

  private known(name: string): string {
    // Which there are depends on where the log is.
    const { names } = this.catalogue;
    if (!names.includes(name)) throw notFound(`there is no projection ${name}, only ${names.join(' and ')}`);
    return name;
  }

  private async run({ kind, subject, options, waitMs }: Asked, reply: FastifyReply): Promise<wire.Upkeep> {
    const { id } = await this.upkeep.ask(kind, subject, options, callerOf(reply.request).id);
    const view = await this.answer(id, waitMs, reply);
    if (view.state === 'running') void reply.status(ACCEPTED).header('location', `/v1/admin/upkeep/${id}`);
    return view;
  }

  private async answer(id: string, waitMs: number, reply: FastifyReply): Promise<wire.Upkeep> {
    const run = await this.upkeep.waitFor(id, waitMs, hangUpOf(reply));
    if (run === undefined) throw notFound(`there was no run of upkeep ${id}`);
    return viewUpkeep(run, await this.store.head(), this.clock.now());
  }
}

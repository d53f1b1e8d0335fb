import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { JobNotFound } from '../../commands/errors.js';
import { JobLogs } from '../../commands/job-logs.js';
import { jobStream, refusalsStream, workStream } from '../../domain/streams.js';
import type { EventStore } from '../../event-store/event-store.js';
import type * as wire from '../contract.js';
import { eventsPage } from '../event-text.js';
import { Freshness } from '../freshness.js';
import { decodeCursor, encodeCursor } from '../list-cursor.js';
import { isPositionKey } from '../position-cursor.js';
import { EVENT_STORE } from '../ports.js';
import { jobId } from '../requests/paths.js';
import { jobEvents, type JobEventsQuery, pageOnly, type PageQuery } from '../requests/queries.js';

/** What happened to a job, and what its workers logged. */
@Controller('v1/jobs/:id')
export class JobHistoryController {
  constructor(
    @Inject(EVENT_STORE) private readonly store: EventStore,
    private readonly jobLogs: JobLogs,
    private readonly freshness: Freshness,
  ) {}

  /** Transitions, facts and refusals as one history, by position. */
  @Get('events')
  async events(
    @Param('id', { schema: jobId }) id: string,
    @Query({ schema: jobEvents }) { order, limit, cursor }: JobEventsQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer> {
    await this.freshness.ofLog(request, reply);
    const list = ['events', id, order];
    const after = cursor === undefined ? undefined : decodeCursor(list, cursor, isPositionKey)[0];
    const { events } = await this.store.readAll({
      ...(after === undefined ? {} : { after }),
      // One more tells whether there is a next page.
      limit: limit + 1,
      filter: { streams: [jobStream(id), workStream(id), refusalsStream(id)] },
      direction: order === 'asc' ? 'forwards' : 'backwards',
    });
    if (events.length === 0) await this.requireJob(id);
    const items = events.slice(0, limit);
    const last = items.at(-1);
    const hasMore = events.length > limit && last !== undefined;
    return eventsPage(reply, items, hasMore ? encodeCursor(list, [last.position]) : null);
  }

  @Get('logs')
  async logs(
    @Param('id', { schema: jobId }) id: string,
    @Query({ schema: pageOnly }) { limit, cursor }: PageQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.Page<wire.LogRow>> {
    await this.freshness.ofLog(request, reply);
    const list = ['logs', id];
    const after = cursor === undefined ? '0' : decodeCursor(list, cursor, isPositionKey)[0];
    const rows = await this.jobLogs.read(id, after, limit + 1);
    if (rows.length === 0) await this.requireJob(id);
    const items = rows.slice(0, limit).map(({ line: _line, ...row }) => row);
    const last = rows[limit - 1];
    return {
      items: items as readonly wire.LogRow[],
      nextCursor: rows.length > limit && last !== undefined ? encodeCursor(list, [last.line]) : null,
    };
  }

  private async requireJob(id: string): Promise<void> {
    const first = await this.store.readStream(jobStream(id), { limit: 1 });
    if (first.length === 0) throw new JobNotFound(id);
  }
}

import { Controller, Get, Inject, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { comparePositions, type EventStore, type Position, type RecordedEvent } from '../../event-store/event-store.js';
import { eventsPage } from '../event-text.js';
import { Freshness } from '../freshness.js';
import { decodeCursor, encodeCursor } from '../list-cursor.js';
import { isPositionKey } from '../position-cursor.js';
import { EVENT_STORE } from '../ports.js';
import { listEvents, type ListEventsQuery } from '../requests/queries.js';

interface Found {
  readonly events: readonly RecordedEvent[];
  /** Everything up to here was looked at. */
  readonly next: Position;
}

@Controller('v1/events')
export class EventsController {
  constructor(
    @Inject(EVENT_STORE) private readonly store: EventStore,
    private readonly freshness: Freshness,
  ) {}

  /** The whole log, in its one order. */
  @Get()
  async list(
    @Query({ schema: listEvents }) { after, types, limit, cursor }: ListEventsQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer> {
    const seen = await this.freshness.ofLog(request, reply);
    const list = ['log', after, types ?? []];
    const from = cursor === undefined ? after : decodeCursor(list, cursor, isPositionKey)[0];
    const head =
      comparePositions(from, seen) > 0
        ? await this.freshness.notBeyondHead(from, cursor === undefined ? 'after' : 'cursor')
        : seen;
    const { events, next } = await this.read(from, limit, types, head);
    const hasMore = comparePositions(next, head) < 0;
    return eventsPage(reply, events, hasMore ? encodeCursor(list, [next]) : null);
  }

  /** Pages of a filter look at so many events at most: goes on until there are enough, or all were looked at. */
  private async read(
    from: Position,
    limit: number,
    types: readonly string[] | undefined,
    head: Position,
  ): Promise<Found> {
    const events: RecordedEvent[] = [];
    let next = from;
    while (events.length < limit && comparePositions(next, head) < 0) {
      const filter = types === undefined ? {} : { filter: { types } };
      const page = await this.store.readAll({ after: next, limit: limit - events.length, ...filter });
      if (page.next === next) break;
      events.push(...page.events);
      next = page.next;
    }
    return { events, next };
  }
}

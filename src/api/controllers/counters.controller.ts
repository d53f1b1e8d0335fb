import { Controller, Get, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { toInstant } from '../../domain/job-events.js';
import { Claimers } from '../../leases/claimers.js';
import { CounterQueries } from '../../projections/counters/counter-queries.js';
import { COUNTERS } from '../../projections/counters/counters.js';
import { type QueueAnswer, QueueQueries } from '../../projections/counters/queue-queries.js';
import type * as wire from '../contract.js';
import { Freshness, stamp } from '../freshness.js';
import { type CursorKey, decodeCursor, encodeCursor } from '../list-cursor.js';
import { notFound } from '../problem.js';
import { queueName } from '../requests/paths.js';
import { counters, pageOnly, type PageQuery } from '../requests/queries.js';

const isNameKey = (key: CursorKey): key is readonly [string] => key.length === 1 && typeof key[0] === 'string';

/** How many jobs stand where. */
@Controller('v1')
export class CountersController {
  constructor(
    private readonly counterQueries: CounterQueries,
    private readonly queueQueries: QueueQueries,
    private readonly claimers: Claimers,
    private readonly freshness: Freshness,
  ) {}

  @Get('counters')
  async counters(
    @Query({ schema: counters }) _query: object,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.Counters> {
    await this.freshness.ofProjection(COUNTERS.name, request);
    const answer = await this.counterQueries.counters();
    stamp(reply, answer.position);
    return answer;
  }

  /** Queues that ever had a job, by name. */
  @Get('queues')
  async queues(
    @Query({ schema: pageOnly }) { limit, cursor }: PageQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.Page<wire.Queue>> {
    await this.freshness.ofProjection(COUNTERS.name, request);
    const list = ['queues'];
    const after = cursor === undefined ? null : decodeCursor(list, cursor, isNameKey)[0];
    const { position, queues } = await this.queueQueries.list(limit + 1, after);
    stamp(reply, position);
    const items = await this.withClaimers(queues.slice(0, limit));
    const last = queues.length > limit ? items.at(-1) : undefined;
    return { items, nextCursor: last === undefined ? null : encodeCursor(list, [last.name]) };
  }

  @Get('queues/:name')
  async queue(
    @Param('name', { schema: queueName }) name: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<wire.Queue> {
    await this.freshness.ofProjection(COUNTERS.name, request);
    const { position, queues } = await this.queueQueries.find(name);
    stamp(reply, position);
    const [queue] = await this.withClaimers(queues);
    if (queue === undefined) throw notFound(`queue ${name} never had a job`);
    return queue;
  }

  private async withClaimers(queues: readonly QueueAnswer[]): Promise<readonly wire.Queue[]> {
    const claimers = await this.claimers.of(queues.map(({ name }) => name));
    return queues.map((queue) => ({
      ...queue,
      claimers: (claimers.get(queue.name) ?? []).map(({ workerId, types, askedAt }) => ({
        workerId,
        types,
        lastAskedAt: toInstant(askedAt),
      })),
    }));
  }
}

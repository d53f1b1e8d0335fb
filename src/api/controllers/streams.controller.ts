import { Controller, Get, Logger, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Position, START } from '../../event-store/event-store.js';
import { Freshness } from '../freshness.js';
import { JobReader } from '../job-reader.js';
import { lastEventId } from '../requests/headers.js';
import { jobId } from '../requests/paths.js';
import * as queries from '../requests/queries.js';
import type { SseStream } from '../sse.js';
import { SseStreams } from '../sse-streams.js';
import { CounterStream } from '../streams/counter-stream.js';
import { JobStreams } from '../streams/job-streams.js';
import { LogStreams } from '../streams/log-streams.js';

type Feed = (stream: SseStream) => Promise<void>;

/** Server-sent events. What refuses a request does so before the stream is opened. */
@Controller('v1')
export class StreamsController {
  private readonly logger = new Logger('streams');

  constructor(
    private readonly streams: SseStreams,
    private readonly logStreams: LogStreams,
    private readonly jobStreams: JobStreams,
    private readonly counterStream: CounterStream,
    private readonly jobs: JobReader,
    private readonly freshness: Freshness,
  ) {}

  @Get('streams/events')
  async events(
    @Query({ schema: queries.streamEvents }) { after, types, ...filter }: queries.StreamEventsQuery,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const from = await this.startOf(request, reply, after);
    this.open(request, reply, from, (stream) => this.logStreams.events(stream, from, { types, filter }));
  }

  @Get('streams/jobs')
  async allJobs(
    @Query({ schema: queries.streamJobs }) { after, ...filter }: queries.StreamJobsQuery,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const from = await this.startOf(request, reply, after);
    this.open(request, reply, from, (stream) => this.jobStreams.follow(stream, from, filter));
  }

  @Get('streams/counters')
  async counters(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const head = await this.freshness.ofLog(request, reply);
    this.open(request, reply, head, (stream) => this.counterStream.follow(stream));
  }

  /** Begins with the job's history. */
  @Get('jobs/:id/stream')
  async job(
    @Param('id', { schema: jobId }) id: string,
    @Query({ schema: queries.streamJob }) { after, types, until }: queries.StreamJobQuery,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const from = await this.startOf(request, reply, after ?? START);
    await this.jobs.stored(id);
    const selection = { jobId: id, types, untilTerminal: until === 'terminal' };
    this.open(request, reply, from, (stream) => this.logStreams.job(stream, from, selection));
  }

  /** After what the reader saw last, else after what it asks for, else from now on. */
  private async startOf(request: FastifyRequest, reply: FastifyReply, after?: Position): Promise<Position> {
    const head = await this.freshness.ofLog(request, reply);
    const seen = lastEventId(request.headers);
    const from = seen ?? after;
    if (from === undefined) return head;
    await this.freshness.notBeyondHead(from, seen === undefined ? 'after' : 'Last-Event-ID');
    return from;
  }

  /** A stream that fails is cut: its reader comes back, and resumes. */
  private open(request: FastifyRequest, reply: FastifyReply, after: Position, feed: Feed): void {
    const stream = this.streams.open(request, reply, { after });
    if (stream.closed) return;
    feed(stream).catch((error: unknown) => {
      if (!stream.closed)
        this.logger.error(`a stream failed: ${error instanceof Error ? error.message : String(error)}`);
      stream.destroy();
    });
  }
}

/**
 * How fresh an answer is. Every answer of the ledger says a position that it reflects at least; a caller may ask for
 * one at least as fresh as a position that it has seen.
 */
import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { toInstant, type Instant } from '../domain/job-events.js';
import { comparePositions, type EventStore, type Position } from '../event-store/event-store.js';
import type { Clock } from '../leases/clock.js';
import { JOB_ROWS } from '../projections/jobs/row-follower.js';
import { ProjectionWatch } from '../projections/projection-watch.js';
import { CLOCK, EVENT_STORE } from './ports.js';
import { Problem, validationFailed } from './problem.js';
import { minPosition } from './requests/headers.js';

const beyondHead = (path: string): Problem =>
  validationFailed([{ path, message: `${path} is beyond the head of the log` }]);

/** How long an answer waits for a projection. */
const WAIT_MS = 5_000;

@Injectable()
export class Freshness {
  private reading: Promise<unknown> = Promise.resolve();
  /** A read of the head that has not begun. */
  private next: Promise<Position> | undefined;

  constructor(
    @Inject(EVENT_STORE) private readonly store: EventStore,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly projections: ProjectionWatch,
  ) {}

  /**
   * Before a read of the log, or of jobs by their ids: whatever was committed is seen by it.
   * @returns the head, which the answer reflects at least and which its `X-Position` says.
   * @throws Problem `validation_failed` on an `X-Min-Position` that is malformed or beyond the head
   */
  async ofLog(request: FastifyRequest, reply: FastifyReply): Promise<Position> {
    const min = minPosition(request.headers);
    const position = min === undefined ? await this.head() : await this.notBeyondHead(min, 'X-Min-Position');
    stamp(reply, position);
    return position;
  }

  /**
   * Before a search among jobs, as `ofLog`. Beside a log elsewhere, rows of jobs are written a moment after their events:
   * then it waits until they are.
   * @throws Problem `projection_lagging` when the rows were not there in time.
   */
  async ofJobs(request: FastifyRequest, reply: FastifyReply): Promise<Position> {
    const position = await this.ofLog(request, reply);
    if (this.projections.has(JOB_ROWS)) await this.waitFor(JOB_ROWS, position);
    return position;
  }

  /**
   * Before a read of a projection: waits until it is as fresh as was asked. The read says its own position.
   * @throws Problem `validation_failed` as above, `projection_lagging` when it was not so in time.
   */
  async ofProjection(name: string, request: FastifyRequest): Promise<void> {
    const min = minPosition(request.headers);
    if (min === undefined) return;
    await this.notBeyondHead(min, 'X-Min-Position');
    await this.waitFor(name, min);
  }

  private async waitFor(name: string, position: Position): Promise<void> {
    if (await this.projections.waitFor(name, position, WAIT_MS)) return;
    throw new Problem(
      'projection_lagging',
      `${name} has not come to position ${position} in ${WAIT_MS / 1_000} s: ask again later, or without X-Min-Position`,
    );
  }

  /**
   * The head of the log, at least the position.
   * @param path what the caller calls the position.
   * @throws Problem `validation_failed` when the position is beyond the head.
   */
  async notBeyondHead(position: Position, path: string): Promise<Position> {
    const head = await this.head();
    if (comparePositions(head, position) < 0) throw beyondHead(path);
    return head;
  }

  /**
   * Before a read of the past by a time: what is in the future may still be otherwise.
   * @throws Problem `validation_failed` when the time is after the database's, and after the last event's.
   */
  async notInFuture(time: Instant, path: string): Promise<void> {
    if (time <= toInstant(this.clock.now())) return;
    const { at } = await this.store.head();
    if (at !== null && time <= at) return;
    throw validationFailed([{ path, message: `${path} is in the future` }]);
  }

  /**
   * The head of the log now. Who asks together reads together, once the read under way is done: that one may be from
   * before what they have seen.
   */
  head(): Promise<Position> {
    this.next ??= this.readNext();
    return this.next;
  }

  private async readNext(): Promise<Position> {
    await this.reading.catch(() => undefined);
    this.next = undefined;
    const reading = this.store.head();
    this.reading = reading;
    return (await reading).position;
  }
}

/** Says on the answer which position it reflects at least. */
export const stamp = (reply: FastifyReply, position: Position): void => {
  void reply.header('x-position', position);
};

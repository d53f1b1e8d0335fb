/**
 * How fresh an answer is. Every answer of the ledger says a position that it reflects at least; a caller may ask for
 * one at least as fresh as a position that it has seen.
 */
import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { comparePositions, type EventStore, type Position } from '../event-store/event-store.js';
import { EVENT_STORE } from './ports.js';
import { type Problem, validationFailed } from './problem.js';
import { minPosition } from './requests/headers.js';

const beyondHead = (path: string): Problem =>
  validationFailed([{ path, message: `${path} is beyond the head of the log` }]);

@Injectable()
export class Freshness {
  private reading: Promise<Position> | undefined;

  constructor(@Inject(EVENT_STORE) private readonly store: EventStore) {}

  /**
   * Before a read of jobs or of the log: whatever was committed is seen by it.
   * @returns the head, which the answer reflects at least and which its `X-Position` says.
   * @throws Problem `validation_failed` on an `X-Min-Position` that is malformed or beyond the head.
   */
  async ofJobs(request: FastifyRequest, reply: FastifyReply): Promise<Position> {
    const min = minPosition(request.headers);
    const position = min === undefined ? await this.head() : await this.notBeyondHead(min, 'X-Min-Position');
    stamp(reply, position);
    return position;
  }

  /**
   * The head of the log, at least the position.
   * @param path what the caller calls the position.
   * @throws Problem `validation_failed` when the position is beyond the head.
   */
  async notBeyondHead(position: Position, path: string): Promise<Position> {
    // The head of a read under way may be from before the position was written.
    const early = await this.head();
    if (comparePositions(early, position) >= 0) return early;
    const { position: head } = await this.store.head();
    if (comparePositions(head, position) < 0) throw beyondHead(path);
    return head;
  }

  /** A recent head; who asks together reads together. */
  head(): Promise<Position> {
    this.reading ??= this.store
      .head()
      .then(({ position }) => position)
      .finally(() => {
        this.reading = undefined;
      });
    return this.reading;
  }
}

/** Says on the answer which position it reflects at least. */
export const stamp = (reply: FastifyReply, position: Position): void => {
  void reply.header('x-position', position);
};

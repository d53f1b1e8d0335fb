import { Inject } from '@nestjs/common';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import type { Outcome } from '../commands/envelope.js';
import { ReapJob } from './reap.saga.js';

/** How a reap gets into the pipeline. */
export const REAP = Symbol('Reap');
export type Reap = (command: ReapJob) => Promise<Outcome>;

/** The reaper's commands take the way of anybody's: over the command bus. */
@CommandHandler(ReapJob)
export class ReapJobHandler implements ICommandHandler<ReapJob> {
  constructor(@Inject(REAP) private readonly reap: Reap) {}

  execute(command: ReapJob): Promise<Outcome> {
    return this.reap(command);
  }
}

/** From the command bus to the ledger. A handler counts, and adds nothing: what a command means stands in the ledger. */
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { BeatJob, ClaimJobs, CommandJob, CreateJob, LogJob } from './bus-commands.js';
import type { ClaimedJob } from './claim-request.js';
import { CommandMeter, successOf } from './command-meter.js';
import type { Outcome } from './envelope.js';
import { type HeartbeatOutcome, Ledger } from './ledger.js';

@CommandHandler(CreateJob)
class CreateJobHandler implements ICommandHandler<CreateJob> {
  constructor(
    private readonly ledger: Ledger,
    private readonly meter: CommandMeter,
  ) {}

  execute({ job, call }: CreateJob): Promise<Outcome> {
    return this.meter.measure(
      'create',
      call,
      async (traced) => (await this.ledger.create([job], traced))[0]!,
      successOf,
    );
  }
}

@CommandHandler(CommandJob)
class CommandJobHandler implements ICommandHandler<CommandJob> {
  constructor(
    private readonly ledger: Ledger,
    private readonly meter: CommandMeter,
  ) {}

  execute({ jobId, command, call, leaseMs }: CommandJob): Promise<Outcome> {
    return this.meter.measure(
      command.name,
      call,
      (traced) => this.ledger.execute(jobId, command, traced, leaseMs),
      successOf,
    );
  }
}

@CommandHandler(BeatJob)
class BeatJobHandler implements ICommandHandler<BeatJob> {
  constructor(
    private readonly ledger: Ledger,
    private readonly meter: CommandMeter,
  ) {}

  execute({ jobId, command, call, leaseMs }: BeatJob): Promise<HeartbeatOutcome> {
    return this.meter.measure(
      'heartbeat',
      call,
      (traced) => this.ledger.heartbeat(jobId, command, traced, leaseMs),
      successOf,
    );
  }
}

@CommandHandler(ClaimJobs)
class ClaimJobsHandler implements ICommandHandler<ClaimJobs> {
  constructor(
    private readonly ledger: Ledger,
    private readonly meter: CommandMeter,
  ) {}

  execute({ request }: ClaimJobs): Promise<readonly ClaimedJob[]> {
    return this.meter.measure(
      'claim',
      request,
      (traced) => this.ledger.claim(traced),
      ([first]) => (first === undefined ? 'empty' : successOf(first.outcome)),
    );
  }
}

@CommandHandler(LogJob)
class LogJobHandler implements ICommandHandler<LogJob> {
  constructor(
    private readonly ledger: Ledger,
    private readonly meter: CommandMeter,
  ) {}

  execute({ jobId, token, lines, call }: LogJob): Promise<Outcome> {
    return this.meter.measure(
      'logs',
      call,
      (traced) => this.ledger.log(jobId, token, lines, traced),
      ({ replayed }) => (replayed ? 'replayed' : 'done'),
    );
  }
}

export const COMMAND_HANDLERS = [CreateJobHandler, CommandJobHandler, BeatJobHandler, ClaimJobsHandler, LogJobHandler];

/** From the command bus to the ledger. A handler counts, and adds nothing: what a command means stands in the ledger. */
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { BeatJob, ClaimJobs, CommandJob, CreateJob, LogJob } from './bus-commands.js';
import type { ClaimedJob } from './claims.js';
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
    return this.meter.measure('create', async () => (await this.ledger.create([job], call))[0]!, successOf);
  }
}

@CommandHandler(CommandJob)
class CommandJobHandler implements ICommandHandler<CommandJob> {
  constructor(
    private readonly ledger: Ledger,
    private readonly meter: CommandMeter,
  ) {}

  execute({ jobId, command, call, leaseMs }: CommandJob): Promise<Outcome> {
    return this.meter.measure(command.name, () => this.ledger.execute(jobId, command, call, leaseMs), successOf);
  }
}

@CommandHandler(BeatJob)
class BeatJobHandler implements ICommandHandler<BeatJob> {
  constructor(
    private readonly ledger: Ledger,
    private readonly meter: CommandMeter,
  ) {}

  execute({ jobId, command, call, leaseMs }: BeatJob): Promise<HeartbeatOutcome> {
    return this.meter.measure('heartbeat', () => this.ledger.heartbeat(jobId, command, call, leaseMs), successOf);
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
      () => this.ledger.claim(request),
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
      () => this.ledger.log(jobId, token, lines, call),
      ({ replayed }) => (replayed ? 'replayed' : 'done'),
    );
  }
}

export const COMMAND_HANDLERS = [CreateJobHandler, CommandJobHandler, BeatJobHandler, ClaimJobsHandler, LogJobHandler];

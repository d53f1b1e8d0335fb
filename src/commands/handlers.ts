/** From the command bus to the ledger. A handler adds nothing: what a command means stands in the ledger. */
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { BeatJob, ClaimJobs, CommandJob, CreateJob, LogJob } from './bus-commands.js';
import type { ClaimedJob } from './claims.js';
import type { Outcome } from './envelope.js';
import { type HeartbeatOutcome, Ledger } from './ledger.js';

@CommandHandler(CreateJob)
class CreateJobHandler implements ICommandHandler<CreateJob> {
  constructor(private readonly ledger: Ledger) {}

  async execute({ job, call }: CreateJob): Promise<Outcome> {
    return (await this.ledger.create([job], call))[0]!;
  }
}

@CommandHandler(CommandJob)
class CommandJobHandler implements ICommandHandler<CommandJob> {
  constructor(private readonly ledger: Ledger) {}

  execute({ jobId, command, call, leaseMs }: CommandJob): Promise<Outcome> {
    return this.ledger.execute(jobId, command, call, leaseMs);
  }
}

@CommandHandler(BeatJob)
class BeatJobHandler implements ICommandHandler<BeatJob> {
  constructor(private readonly ledger: Ledger) {}

  execute({ jobId, command, call, leaseMs }: BeatJob): Promise<HeartbeatOutcome> {
    return this.ledger.heartbeat(jobId, command, call, leaseMs);
  }
}

@CommandHandler(ClaimJobs)
class ClaimJobsHandler implements ICommandHandler<ClaimJobs> {
  constructor(private readonly ledger: Ledger) {}

  execute({ request }: ClaimJobs): Promise<readonly ClaimedJob[]> {
    return this.ledger.claim(request);
  }
}

@CommandHandler(LogJob)
class LogJobHandler implements ICommandHandler<LogJob> {
  constructor(private readonly ledger: Ledger) {}

  execute({ jobId, token, lines, call }: LogJob): Promise<Outcome> {
    return this.ledger.log(jobId, token, lines, call);
  }
}

export const COMMAND_HANDLERS = [CreateJobHandler, CommandJobHandler, BeatJobHandler, ClaimJobsHandler, LogJobHandler];

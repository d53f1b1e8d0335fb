/** What the command bus carries: one class a kind of call, each with what its handler answers. */
import { Command } from '@nestjs/cqrs';
import type { CommandOf, JobCommand, Token } from '../domain/job-commands.js';
import type { JobSpec } from '../domain/job-events.js';
import type { ClaimedJob, ClaimRequest } from './claim-request.js';
import type { Outcome } from './envelope.js';
import type { LogLine } from './job-logs.js';
import type { Call, HeartbeatOutcome } from './ledger.js';

/** A job to be made, and why. */
export interface NewJob {
  readonly spec: JobSpec;
  readonly reason: string | null;
}

export class CreateJob extends Command<Outcome> {
  constructor(
    readonly job: NewJob,
    readonly call: Call,
  ) {
    super();
  }
}

/** Any command on one job. `leaseMs`: of a worker call, for this renewal only. */
export class CommandJob extends Command<Outcome> {
  constructor(
    readonly jobId: string,
    readonly command: JobCommand,
    readonly call: Call,
    readonly leaseMs: number | null = null,
  ) {
    super();
  }
}

export class BeatJob extends Command<HeartbeatOutcome> {
  constructor(
    readonly jobId: string,
    readonly command: CommandOf<'heartbeat'>,
    readonly call: Call,
    readonly leaseMs: number | null,
  ) {
    super();
  }
}

export class ClaimJobs extends Command<readonly ClaimedJob[]> {
  constructor(readonly request: ClaimRequest) {
    super();
  }
}

export class LogJob extends Command<Outcome> {
  constructor(
    readonly jobId: string,
    readonly token: Token,
    readonly lines: readonly LogLine[],
    readonly call: Call,
  ) {
    super();
  }
}

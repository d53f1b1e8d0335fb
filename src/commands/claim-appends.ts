/** What a claim writes and reads in the log once it has candidates: which of them it got, each as it is then. */
import { performance } from 'node:perf_hooks';
import { isTerminal } from '../domain/job-chart.js';
import { RowLocked, type EventStore, type Position } from '../event-store/event-store.js';
import type { Reserved } from '../leases/leases.js';
import { replayJob } from '../projections/jobs/job-history.js';
import { applyTransitions, type StoredJob } from '../projections/jobs/stored-job.js';
import type { ClaimedJob, ClaimRequest } from './claim-request.js';
import { UNCONDITIONAL, type MemberRefused, type Origin, type Outcome } from './envelope.js';
import type { Pipeline } from './pipeline.js';

/** How long an append of a claim may take once candidates are held: as long as they are held. */
const APPEND_MS = 2_000;

interface Appended {
  readonly claimed: readonly ClaimedJob[];
  readonly locked: readonly string[];
}

export class ClaimAppends {
  constructor(
    private readonly store: EventStore,
    private readonly pipeline: Pipeline,
  ) {}

  /**
   * Claims the candidates that nobody else has moved.
   * @returns those that were claimed, and those whose row somebody holds locked
   * @throws DamagedHistory, DeadlineExceeded, Unavailable, IdempotencyKeyReused
   */
  async append(request: ClaimRequest, candidates: readonly Reserved<StoredJob>[]): Promise<Appended> {
    const { workerId, leaseMs, start, origin, idempotency, signal } = request;
    const command = { name: 'claim', workerId, leaseMs, start } as const;
    const members = candidates.map(({ jobId }) => ({ jobId, command, origin, ...UNCONDITIONAL }));
    const deadline = performance.now() + APPEND_MS;
    const outcomes = await this.pipeline.submit({ members, idempotency, dropRefused: true, deadline, signal }, 0);
    const locked = outcomes.flatMap((outcome) =>
      'refusal' in outcome && outcome.refusal instanceof RowLocked ? [outcome.jobId] : [],
    );
    return { claimed: await this.claimedOf(outcomes, candidates), locked };
  }

  /** The claimer hung up while its jobs were appended: nobody would work on them. */
  async giveBack(claimed: readonly ClaimedJob[], origin: Origin): Promise<void> {
    for (const { outcome } of claimed) {
      const token = { run: outcome.run, attempt: outcome.attempt };
      const command = { name: 'release', token, reason: 'claimer_gone' } as const;
      const member = { jobId: outcome.jobId, command, origin, ...UNCONDITIONAL };
      const deadline = performance.now() + APPEND_MS;
      const group = { members: [member], idempotency: null, dropRefused: false, deadline, unbounded: true } as const;
      await this.pipeline.submit(group, 0);
    }
  }

  /** The jobs of a first answer that is given again: each as it was then. */
  recalled(outcomes: readonly Outcome[]): Promise<readonly ClaimedJob[]> {
    return Promise.all(
      outcomes.map(async (outcome) => ({ stored: await this.asOf(outcome.jobId, outcome.position), outcome })),
    );
  }

  private async claimedOf(
    outcomes: readonly (Outcome | MemberRefused)[],
    candidates: readonly Reserved<StoredJob>[],
  ): Promise<readonly ClaimedJob[]> {
    const rows = new Map(candidates.map(({ jobId, row }) => [jobId, row]));
    const claimed = outcomes.filter(
      (outcome): outcome is Outcome => 'status' in outcome && !isTerminal(outcome.status),
    );
    return Promise.all(
      claimed.map(async (outcome) => {
        const known = rows.get(outcome.jobId);
        const isOfRow = known !== undefined && known.job.revision + outcome.recorded.length === outcome.revision;
        return {
          stored: isOfRow
            ? applyTransitions(known, outcome.recorded)
            : await this.asOf(outcome.jobId, outcome.position),
          outcome,
        };
      }),
    );
  }

  private async asOf(jobId: string, position: Position): Promise<StoredJob> {
    const { stored } = await replayJob(this.store, jobId, position);
    if (stored === null) throw new Error(`claimed job ${jobId} has no history`);
    return stored;
  }
}

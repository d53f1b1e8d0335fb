/**
 * What an append cannot prove is looked up: refusals and no-ops on the log itself, repeated keys among the answers,
 * lost lease rows and damaged rows of jobs in the log that outlives them.
 */
import { Refusal } from '../domain/errors.js';
import type { EventStore } from '../event-store/event-store.js';
import type { JobRows } from '../projections/jobs/job-rows.js';
import { repairRow } from '../projections/jobs/repair-row.js';
import { firstAnswer, type AnswerBody, type Answers } from './answers.js';
import type { Entry, MemberVerdict } from './batch.js';
import { Refused, type Idempotency, type Outcome } from './envelope.js';
import { JobNotFound, LeaseUnsettled } from './errors.js';
import type { JobStates, KnownJob } from './job-states.js';
import type { LostLeases } from './lease-seed.js';
import type { Refusals } from './refusals.js';

export interface VerificationDependencies {
  readonly store: EventStore;
  readonly states: JobStates;
  readonly rows: JobRows;
  readonly answers: Answers;
  readonly refusals: Refusals;
  readonly lostLeases: LostLeases;
}

/** A lease that the log gives the caller and that cannot be renewed this often: the two do not agree. */
const MAX_LAPSES = 3;

export class Verification {
  constructor(private readonly on: VerificationDependencies) {}

  /**
   * Answers an entry that has nothing to append, once it is certain.
   * @returns the entry when it is to be decided again.
   */
  async settle(entry: Entry, verdicts: readonly MemberVerdict[]): Promise<Entry | undefined> {
    try {
      if (!entry.verified) return await this.look(entry);
      return await this.answer(entry, verdicts);
    } catch (error) {
      entry.reject(error);
      return undefined;
    }
  }

  /**
   * Reads the entry's jobs from the log, then its key: where the log has what the key's first call did, the key is
   * there too, and a stored answer comes before any refusal.
   */
  private async look(entry: Entry): Promise<Entry | undefined> {
    const ids = new Set(entry.group.members.map(({ jobId }) => jobId));
    await Promise.all([...ids].map((id) => this.refresh(id)));
    if (await this.replayed(entry)) return undefined;
    entry.verified = true;
    return entry;
  }

  /** @returns the entry when its lease ended after the log was read: it is decided again. */
  private async answer(entry: Entry, verdicts: readonly MemberVerdict[]): Promise<Entry | undefined> {
    const { members, idempotency, dropRefused, renew } = entry.group;
    if (dropRefused) {
      const refusals = verdicts.map((verdict, index) => ({
        jobId: members[index]!.jobId,
        refusal: verdict.kind === 'refused' ? verdict.error : new Error('in effect already'),
      }));
      entry.resolve(refusals);
      return undefined;
    }
    for (const [index, verdict] of verdicts.entries()) {
      if (verdict.kind !== 'refused') continue;
      const { error, known } = verdict;
      if (!(error instanceof Refusal) || known === undefined) throw error;
      const envelope = members[index]!;
      if (envelope.command.name !== 'reap') await this.on.refusals.record(envelope, error, known.job);
      throw new Refused(error, known.job);
    }
    const lease = await renew?.();
    if (lease === null) {
      if ((entry.tries += 1) > MAX_LAPSES) throw new LeaseUnsettled();
      entry.verified = false;
      return entry;
    }
    const outcomes = verdicts.map((verdict) => ({
      ...inEffect((verdict as { known: KnownJob }).known),
      ...(lease === undefined ? {} : { lease }),
    }));
    if (idempotency !== null && !(await this.keep(idempotency, outcomes))) await this.replayed(entry);
    else entry.resolve(outcomes);
    return undefined;
  }

  private keep(idempotency: Idempotency, outcomes: readonly Outcome[]): Promise<boolean> {
    const body: AnswerBody = outcomes.map(({ jobId, status, run, attempt, revision, position, lease }) => ({
      jobId,
      status,
      run,
      attempt,
      revision,
      position,
      ...(lease === undefined ? {} : { lease }),
    }));
    return this.on.answers.keep(idempotency, JSON.stringify(body));
  }

  /** Answers from the stored first answer, when there is one. */
  private async replayed(entry: Entry): Promise<boolean> {
    const { idempotency } = entry.group;
    if (idempotency === null) return false;
    const first = await firstAnswer(
      this.on.store,
      this.on.answers,
      idempotency,
      entry.group.members[0]!.origin.commandId,
    );
    if (first !== undefined) entry.resolve(first);
    return first !== undefined;
  }

  /** The key was taken by another append: its answer is this entry's. */
  async replay(entry: Entry): Promise<Entry | undefined> {
    try {
      // Gone again only if it was purged in this instant: then it is a new key.
      return (await this.replayed(entry)) ? undefined : entry;
    } catch (error) {
      entry.reject(error);
      return undefined;
    }
  }

  /** Reads the job from the log into the cache. */
  async refresh(jobId: string): Promise<void> {
    await this.on.states.reload(jobId);
  }

  /**
   * The append was refused by the lease row. When the log says that the lease is the caller's all the same, the row
   * was lost: it is seeded again with a full lease of grace.
   * @returns true when the entry was answered: a reap that lost its race.
   */
  async leaseRefused(entry: Entry, jobId: string): Promise<boolean> {
    const known = await this.on.states.reload(jobId);
    const only = entry.group.members[0]!;
    if (only.command.name === 'reap') {
      entry.reject(new Raced(jobId));
      return true;
    }
    if (known?.job.lease != null) await this.on.lostLeases.seed(jobId);
    return false;
  }

  /** Writes the row that the log says, in place of one that was lost or edited. */
  async repair(jobId: string): Promise<void> {
    if ((await repairRow(this.on.store, this.on.rows, jobId)) === null) throw new JobNotFound(jobId);
    await this.refresh(jobId);
  }
}

/** Thrown at the reaper when a call was accepted between its judgement and its append: the job lives. */
export class Raced extends Error {
  constructor(jobId: string) {
    super(`job ${jobId} moved while it was judged`);
  }
}

const inEffect = ({ job, position }: KnownJob): Outcome => ({
  jobId: job.id,
  status: job.status,
  run: job.run,
  attempt: job.attempt,
  revision: job.revision,
  position,
  events: [],
  recorded: [],
  job,
  replayed: false,
});

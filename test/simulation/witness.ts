/**
 * Watches the log as it grows, folds every job again by itself, and knows what must never be. What it sees first is
 * the failure of the schedule.
 */
import { isDeepStrictEqual } from 'node:util';
import { decide } from '../../src/domain/decide.js';
import { Refusal } from '../../src/domain/errors.js';
import { isTerminal } from '../../src/domain/job-chart.js';
import type { Context, JobCommand, Token } from '../../src/domain/job-commands.js';
import type { Evidence, RecordedJobFact } from '../../src/domain/job-events.js';
import type { Job } from '../../src/domain/job.js';
import { counts } from '../../src/domain/progress.js';
import { jobIdOf } from '../../src/domain/streams.js';
import type { RecordedEvent } from '../../src/event-store/event-store.js';
import {
  foldEvent,
  metadataOf,
  NO_JOB,
  progressOf,
  toFact,
  type JobFold,
} from '../../src/projections/jobs/stored-job.js';
import type { Database } from './database.js';
import { rowOf } from './jobs-table.js';

/** What must never be, was. */
export class Violation extends Error {}

interface Known {
  readonly position: number;
  readonly fold: JobFold;
}

/** Counts by an arithmetic of its own: distinct facts of the attempt, on top of what its checkpoint stood at. */
interface Tally {
  processed: number;
  saved: number;
  batches: Set<string>;
}

/** One append is one command: of a create and a claim all its jobs. */
const appendKey = (commandId: string, name: string, jobId: string): string =>
  name === 'create' || name === 'claim' ? `${commandId} ${name}` : `${commandId} ${name} ${jobId}`;

const holdsFact = ({ stored }: JobFold, { run, attempt }: RecordedJobFact): boolean =>
  stored?.job.lease != null && stored.job.run === run && stored.job.attempt === attempt;

const factKey = ({ run, attempt, data }: RecordedJobFact): string => `${run}/${attempt}/${data.batchId}`;

export class Witness {
  readonly violations: string[] = [];
  /** Every event, in order. */
  readonly events: RecordedEvent[] = [];
  /** Jobs whose row was lost or edited, and not repaired yet. */
  readonly tainted = new Set<string>();
  /** Jobs whose row was ever lost or edited: their lease row may have been made from it. */
  readonly spoilt = new Set<string>();
  private readonly jobs = new Map<string, Known[]>();
  private readonly tallies = new Map<string, Tally>();
  private readonly facts = new Map<string, Set<string>>();
  private readonly terminals = new Map<string, number>();
  private readonly appends = new Map<string, { readonly first: number; last: number }>();
  private readonly tokens = new Map<string, Token>();
  private names = new Map<string, string>();

  /** @param maxOffsetMs how far the clocks of nodes are from the database's */
  constructor(
    private readonly database: Database,
    private readonly maxOffsetMs: number,
    private readonly note: (text: string) => void,
  ) {
    database.leases.onBeat = ({ jobId, run, attempt }) => {
      const job = this.job(jobId);
      const holds = job?.lease != null && job.run === run && job.attempt === attempt;
      if (!holds && !this.spoilt.has(jobId))
        this.violated(`a beat of ${this.name(jobId)} ${run}.${attempt} renewed a lease that ended`);
    };
    database.store.onAppended(() => this.catchUp());
  }

  get head(): number {
    return this.events.length;
  }

  /** The row of a job is lost or edited on purpose. */
  spoil(jobId: string): void {
    this.spoilt.add(jobId);
    this.tainted.add(jobId);
  }

  violated(what: string): void {
    this.violations.push(what);
  }

  /** A short name of a job: ids differ from run to run of a seed. */
  name(jobId: string): string {
    const name = this.names.get(jobId) ?? `J${this.names.size + 1}`;
    this.names.set(jobId, name);
    return name;
  }

  get jobIds(): readonly string[] {
    return [...this.jobs.keys()];
  }

  fold(jobId: string): JobFold {
    return this.jobs.get(jobId)?.at(-1)?.fold ?? NO_JOB;
  }

  job(jobId: string): Job | undefined {
    return this.fold(jobId).stored?.job;
  }

  /** The job at a position. */
  at(jobId: string, position: number): JobFold {
    return this.jobs.get(jobId)?.findLast((known) => known.position <= position)?.fold ?? NO_JOB;
  }

  /** Everything that the job was from one position to another, both inclusive. */
  between(jobId: string, from: number, to: number): readonly JobFold[] {
    const inside = (this.jobs.get(jobId) ?? []).filter(({ position }) => position > from && position <= to);
    return [this.at(jobId, from), ...inside.map(({ fold }) => fold)];
  }

  /** Whether a fact of this key counted. */
  counted(jobId: string, token: NonNullable<Token>, batchId: string): boolean {
    return this.facts.get(jobId)?.has(`${token.run}/${token.attempt}/${batchId}`) === true;
  }

  /** Which attempt a command of a worker is of. */
  expectToken(commandId: string, token: Token): void {
    this.tokens.set(commandId, token);
  }

  /** Whether a command has events in the log. */
  hasEvents(commandId: string, name: string, jobId: string): boolean {
    return this.appends.has(appendKey(commandId, name, jobId));
  }

  /** Whether a command would be refused, or would do nothing, in a state. */
  static judge(job: Job, command: JobCommand, context: Context): Refusal | readonly unknown[] {
    try {
      return decide(job, command, context);
    } catch (error) {
      if (error instanceof Refusal) return error;
      throw error;
    }
  }

  private catchUp(): void {
    void this.database.store.readAll({ after: String(this.head), limit: 1_000 }).then(({ events }) => {
      const fresh = events.filter(({ position }) => Number(position) > this.head);
      try {
        for (const event of fresh) this.observe(event);
        for (const id of new Set(fresh.map(({ stream }) => jobIdOf(stream)!))) this.compareRow(id);
      } catch (error) {
        this.violated(`the log cannot be replayed: ${String(error)}`);
      }
    });
  }

  private observe(event: RecordedEvent): void {
    this.events.push(event);
    const jobId = jobIdOf(event.stream)!;
    const { run, attempt, command } = metadataOf(event);
    this.note(
      `   ${event.position}: ${this.name(jobId)} ${event.type} (${command}) ${run}.${attempt} r${event.revision}`,
    );
    const before = this.fold(jobId);
    const fold = foldEvent(before, event);
    if (fold === before) return;
    this.jobs.set(jobId, [...(this.jobs.get(jobId) ?? []), { position: Number(event.position), fold }]);
    this.watchCommand(event, before.stored?.job);
    this.watchEnd(event, jobId, before.stored?.job, fold.stored!.job);
    this.watchReap(event, jobId, before);
    this.watchProgress(event, jobId, before, fold);
  }

  /** A command is appended once, and a worker's only while its attempt holds the job. */
  private watchCommand(event: RecordedEvent, before: Job | undefined): void {
    const { commandId, command } = metadataOf(event);
    // What a claimer gives back has its claim's id, job by job.
    const key = appendKey(commandId, command, jobIdOf(event.stream)!);
    const append = this.appends.get(key);
    const position = Number(event.position);
    if (append === undefined) {
      this.appends.set(key, { first: position, last: position });
      const token = this.tokens.get(commandId);
      if (token !== undefined && command !== 'claim') {
        const holds = before?.lease != null && before.run === token?.run && before.attempt === token.attempt;
        // A row of an earlier time lets a zombie's fact into the log; the fold never counts it.
        const isIdle = command === 'progress' && this.spoilt.has(jobIdOf(event.stream)!);
        if (!holds && !isIdle) this.violated(`${command} of an attempt that had ended was appended at ${position}`);
      }
    } else if (append.last === position - 1 && this.events.at(-2)?.at === event.at) append.last = position;
    else this.violated(`${command} was appended twice, at ${append.first} and ${position}`);
  }

  private watchEnd(event: RecordedEvent, jobId: string, before: Job | undefined, after: Job): void {
    if (before === undefined || isTerminal(before.status) || !isTerminal(after.status)) return;
    const key = `${jobId}/${after.run}`;
    const ends = (this.terminals.get(key) ?? 0) + 1;
    this.terminals.set(key, ends);
    if (ends > 1) this.violated(`run ${after.run} of ${this.name(jobId)} ended again at ${event.position}`);
  }

  /** A verdict stands on what was known when it was appended: the last accepted call, the last sign of work. */
  private watchReap(event: RecordedEvent, jobId: string, before: JobFold): void {
    const evidence = (event.data as { evidence?: Evidence | null }).evidence;
    if (evidence === undefined || evidence === null || before.stored?.job.lease == null) return;
    const what = `${event.type} (${evidence.rule}) of ${this.name(jobId)} at ${event.position}`;
    const row = this.database.leases.ended.get(jobId);
    const { job } = before.stored;
    if (row?.run !== job.run || row.attempt !== job.attempt) {
      this.violated(`${what} ended no lease of its attempt`);
      return;
    }
    const beatAt = row.lastBeatAt === null ? null : new Date(row.lastBeatAt).toISOString();
    if (evidence.lastBeatAt !== beatAt) {
      this.violated(`${what} was judged before a call that was accepted: ${evidence.lastBeatAt}, ${beatAt}`);
    }
    if (evidence.rule === 'lease_expired' && row.expiresAt! > Date.parse(event.at) + this.maxOffsetMs) {
      this.violated(`${what} came before the lease's end`);
    }
    if (this.tainted.has(jobId)) return;
    const activity = before.stored.lastActivityAt ?? job.createdAt;
    if (evidence.lastActivityAt !== activity) {
      this.violated(`${what} was judged before a sign of work: ${evidence.lastActivityAt}, ${activity}`);
    }
  }

  private watchProgress(event: RecordedEvent, jobId: string, before: JobFold, after: JobFold): void {
    const tally = this.tallies.get(jobId) ?? { processed: 0, saved: 0, batches: new Set<string>() };
    this.tallies.set(jobId, tally);
    switch (event.type) {
      case 'JobClaimed':
        Object.assign(tally, { processed: tally.saved, batches: new Set<string>() });
        break;
      case 'CheckpointSaved':
        tally.saved = tally.processed;
        break;
      case 'JobRetried':
        Object.assign(tally, { processed: 0, saved: 0 });
        break;
      case 'ProgressRecorded': {
        const fact = toFact(event);
        const isCounted = counts(before.facts, fact);
        if (!isCounted && !this.spoilt.has(jobId)) this.violated(`the fact at ${event.position} does not count`);
        const known = this.facts.get(jobId) ?? new Set<string>();
        this.facts.set(jobId, known.add(factKey(fact)));
        if (holdsFact(before, fact) && !tally.batches.has(fact.data.batchId)) tally.processed += fact.data.processed;
        tally.batches.add(fact.data.batchId);
      }
    }
    const { processed } = after.stored!.progress;
    if (processed !== tally.processed) this.violated(`${this.name(jobId)} counts ${processed}, not ${tally.processed}`);
  }

  /** The row of a job is what its events say, from the commit on. */
  compareRow(jobId: string): void {
    const row = this.database.jobs.rows.get(jobId);
    const { stored } = this.fold(jobId);
    const isReplay =
      row !== undefined &&
      stored !== null &&
      isDeepStrictEqual({ ...row, progress: progressOf(row.progress, row.doc) }, rowOf(stored));
    if (isReplay) this.tainted.delete(jobId);
    else if (!this.tainted.has(jobId)) {
      const [has, is] = [row, stored && rowOf(stored)].map((what) => JSON.stringify(what));
      this.violated(`the row of ${this.name(jobId)} is not its replay at ${this.head}:\n${has}\n${is}`);
    }
  }
}

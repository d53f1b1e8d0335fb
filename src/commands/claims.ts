/**
 * Claims: who asks together searches together. A search holds candidates for a moment, so that claimers do not run
 * after the same job; each candidate then goes through `decide` and the log like any command, and the loser of a race
 * takes the next. Nobody waits in front of an empty queue: a long poll searches again after it has subscribed to the
 * wake-up.
 */
import { performance } from 'node:perf_hooks';
import type { EventStore } from '../event-store/event-store.js';
import type { Reservations, Reserved } from '../leases/leases.js';
import type { JobRows } from '../projections/jobs/job-rows.js';
import { repairRow } from '../projections/jobs/repair-row.js';
import { DamagedHistory, type StoredJob } from '../projections/jobs/stored-job.js';
import { firstAnswer, type Answers } from './answers.js';
import { ClaimAppends } from './claim-appends.js';
import type { ClaimedJob, ClaimRequest } from './claim-request.js';
import { DamagedJobs } from './damaged-jobs.js';
import { DeadlineExceeded, Overloaded } from './errors.js';
import type { JobStates } from './job-states.js';
import { OfferLooks } from './offers.js';
import type { Pipeline } from './pipeline.js';
import { WaitingClaims, type Waiting } from './waiting-claims.js';

/** Of a claim whose turn comes too late for its candidates, again and again: how long others are searched for, ms. */
const TURNS_MS = 10_000;

/** A waiting claim looks again on its own this often: lost wake-ups, and jobs that fall due. */
const POLL_MS = 500;

/** A claim that lost all its candidates this often goes home with nothing. */
const MAX_LOSSES = 100;
/** Most jobs that a search finds. */
const MAX_FOUND = 1_000;

const soughtOf = (group: readonly Waiting[], all: boolean): readonly Waiting[] =>
  all ? group : group.filter(({ searched }) => !searched);

export class Claims {
  private readonly waiting = new WaitingClaims();
  private readonly damaged = new DamagedJobs();
  private searching = false;
  /** Rises with every reason to search. */
  private wakes = 0;
  /** There may be something for claims that were searched for already: all are searched for. */
  private news = false;
  private lookedForAll = -Infinity;
  private timer: NodeJS.Timeout | undefined;
  private draining = false;
  private readonly appends: ClaimAppends;
  private readonly offered: OfferLooks;

  constructor(
    private readonly store: EventStore,
    private readonly answers: Answers,
    private readonly reservations: Reservations<StoredJob>,
    private readonly states: JobStates,
    private readonly rows: JobRows,
    pipeline: Pipeline,
    private readonly maxWaiting: number,
  ) {
    this.appends = new ClaimAppends(store, pipeline);
    this.offered = new OfferLooks(reservations);
  }

  /** Claims up to `max` jobs; returns as soon as it has one, empty when there was none in time. */
  claim(request: ClaimRequest): Promise<readonly ClaimedJob[]> {
    if (this.draining) return Promise.resolve([]);
    if (this.waiting.size >= this.maxWaiting)
      return Promise.reject(new Overloaded('too many claims wait: nothing was done; repeat the call later'));
    return new Promise((resolve, reject) => {
      const came = performance.now();
      const onAbort = (): void => this.settle(waiting, []);
      const isNew = request.idempotency === null;
      const waiting: Waiting = {
        request,
        came,
        until: came + request.waitMs,
        resolve,
        reject,
        onAbort,
        settled: false,
        taking: false,
        searched: false,
        isNew,
        losses: 0,
      };
      request.signal.addEventListener('abort', onAbort, { once: true });
      this.waiting.add(waiting);
      this.searchSoon();
    });
  }

  /** Something may have become claimable. */
  wake(): void {
    this.news = true;
    this.searchSoon();
  }

  /** Claims that come in one turn of the event loop are searched for together. */
  private searchSoon(): void {
    this.wakes += 1;
    if (this.searching || this.waiting.size === 0) return;
    this.searching = true;
    setImmediate(() => void this.search());
  }

  /**
   * The long polls of a worker that lost a lease end with nothing: it may be frozen with them, and a job that is given to
   * one is lost for a whole lease. One that lives asks anew. A claim that just came, or is being appended, goes on.
   */
  endOf(workerId: string): void {
    for (const waiting of this.waiting.idle())
      if (waiting.searched && waiting.request.workerId === workerId) this.settle(waiting, []);
  }

  /** Long polls end with nothing. */
  drain(): void {
    this.draining = true;
    for (const waiting of this.waiting.all()) this.settle(waiting, []);
  }

  private settle(waiting: Waiting, claimed: readonly ClaimedJob[]): void {
    if (this.leave(waiting)) waiting.resolve(claimed);
  }

  /** False when it was answered before. */
  private leave(waiting: Waiting): boolean {
    if (waiting.settled) return false;
    waiting.settled = true;
    waiting.request.signal.removeEventListener('abort', waiting.onAbort);
    this.waiting.delete(waiting);
    return true;
  }

  private async search(): Promise<void> {
    clearTimeout(this.timer);
    let seen: number;
    do {
      seen = this.wakes;
      const all = this.isForAll();
      await this.serveAll(this.waiting.groups(all), all);
      this.expire();
    } while (seen !== this.wakes && this.waiting.idle().length > 0);
    this.searching = false;
    this.schedule();
  }

  /** A claim that came is searched for alone; however many come, all that wait are in time too. */
  private isForAll(): boolean {
    const now = performance.now();
    if (!this.news && now < this.lookedForAll + POLL_MS) return false;
    this.news = false;
    this.lookedForAll = now;
    return true;
  }

  /** Those whose time is up go home with nothing, once they were searched for: one that came during a search was not. */
  private expire(): void {
    const now = performance.now();
    for (const waiting of this.waiting.idle()) if (waiting.searched && waiting.until <= now) this.settle(waiting, []);
  }

  private schedule(): void {
    const nearest = this.waiting.idle().reduce((least, { until }) => Math.min(least, until), Infinity);
    if (nearest === Infinity) return;
    const next = Math.min(nearest, this.lookedForAll + POLL_MS);
    this.timer = setTimeout(() => this.lookAgain(), Math.max(1, next - performance.now()));
  }

  /** Those whose time is up are searched for once more, and all when it is time for that. */
  private lookAgain(): void {
    const now = performance.now();
    for (const waiting of this.waiting.idle()) if (waiting.until <= now) waiting.searched = false;
    this.searchSoon();
  }

  private async serveAll(groups: readonly (readonly Waiting[])[], all: boolean): Promise<void> {
    try {
      const offers = await this.offered.look(groups.length);
      const isOffered = ([first]: readonly Waiting[]): boolean => offers?.has(first!.request.filter) !== false;
      await Promise.all(groups.map((group) => (isOffered(group) ? this.serve(group, all) : this.findNothing(group))));
    } catch (error) {
      for (const waiting of groups.flatMap((group) => soughtOf(group, all))) this.fail(waiting, error);
    }
  }

  private async findNothing(group: readonly Waiting[]): Promise<void> {
    await Promise.all(group.filter(({ isNew }) => !isNew).map((waiting) => this.recallKey(waiting)));
    for (const waiting of group) waiting.searched = true;
  }

  /**
   * One search for claims of the same filter, handed out in the order of their arrival. Without news as much is searched
   * for as those ask for that just came; when there was something, all are searched for next.
   */
  private async serve(group: readonly Waiting[], all: boolean): Promise<void> {
    const [first] = group;
    if (first === undefined) return;
    const sought = soughtOf(group, all);
    try {
      const max = sought.reduce((sum, { request }) => sum + request.max, 0);
      // So many more that those which are passed over take nobody's place.
      const wanted = Math.min(MAX_FOUND, max + this.damaged.size);
      const reserved = await this.reservations.reserve(first.request.filter, wanted);
      const passedOver = new Set(reserved.flatMap(({ jobId }) => (this.damaged.has(jobId) ? [jobId] : [])));
      const found = reserved.filter(({ jobId }) => !passedOver.has(jobId));
      // Another process, a newer one, may read them.
      await this.release([...passedOver]);
      for (const { row } of found) if (row !== undefined) this.states.learn(row);
      if (found.length > 0 && sought.length < group.length) this.wake();
      for (const waiting of group) {
        if (found.length === 0) break;
        if (waiting.settled || waiting.taking) continue;
        // Not awaited: who asks next searches while this is appended.
        void this.take(waiting, found.splice(0, waiting.request.max));
      }
      const without = sought.filter(({ settled, taking }) => !settled && !taking);
      await Promise.all([this.release(found.map(({ jobId }) => jobId)), this.findNothing(without)]);
    } catch (error) {
      for (const waiting of sought) this.fail(waiting, error);
    }
  }

  /** What is held is a hint: one that cannot be given back lapses by itself, and changes no answer. */
  private async release(jobIds: readonly string[]): Promise<void> {
    if (jobIds.length > 0) await this.reservations.release(jobIds).catch(() => undefined);
  }

  /** There is nothing new to claim: a repeated key may have claimed it before. */
  private async recallKey(waiting: Waiting): Promise<void> {
    const { idempotency, origin } = waiting.request;
    if (waiting.isNew || idempotency === null) return;
    try {
      const first = await firstAnswer(this.store, this.answers, idempotency, origin.commandId);
      waiting.isNew = true;
      if (first !== undefined) this.settle(waiting, await this.appends.recalled(first));
    } catch (error) {
      this.fail(waiting, error);
    }
  }

  private fail(waiting: Waiting, error: unknown): void {
    if (this.leave(waiting)) waiting.reject(error);
  }

  private async take(waiting: Waiting, candidates: readonly Reserved<StoredJob>[]): Promise<void> {
    const { request } = waiting;
    const ids = candidates.map(({ jobId }) => jobId);
    const { origin, idempotency, signal } = request;
    [waiting.taking, waiting.searched] = [true, false];
    try {
      const { claimed, locked } = await this.appends.append(request, candidates);
      // What somebody has locked stays held for a moment: nobody finds it again at once.
      const kept = new Set([...claimed.map(({ outcome }) => outcome.jobId), ...locked]);
      const lost = ids.filter((id) => !kept.has(id));
      await this.release(lost);
      if (waiting.settled && idempotency === null) await this.appends.giveBack(claimed, origin);
      else if (claimed.length > 0) this.settle(waiting, claimed);
      else if (locked.length > 0) this.retake(waiting);
      else await this.lose(waiting, lost);
    } catch (error) {
      if (error instanceof DamagedHistory) return this.passOver(waiting, ids, error.jobId);
      await this.release(ids);
      if (signal.aborted) this.settle(waiting, []);
      else if (error instanceof DeadlineExceeded && performance.now() < waiting.came + TURNS_MS) this.retake(waiting);
      else this.fail(waiting, error);
    }
  }

  /** What it held is free again: it is searched for anew. */
  private retake(waiting: Waiting): void {
    waiting.taking = false;
    this.wake();
  }

  /** The claim goes on to the next. What cannot be read here is free for a process that can. */
  private async passOver(waiting: Waiting, ids: readonly string[], damaged: string): Promise<void> {
    this.damaged.add(damaged);
    await this.release(ids);
    waiting.searched = false;
    this.retake(waiting);
  }

  /**
   * Every candidate was lost to somebody else: there may be a next one. What is lost again and again is offered by a
   * row that is wrong: it is written anew, and the claim does not go on for ever.
   */
  private async lose(waiting: Waiting, lost: readonly string[]): Promise<void> {
    waiting.losses += 1;
    if (waiting.losses > MAX_LOSSES) {
      this.settle(waiting, []);
      return;
    }
    if (waiting.losses > 1) await Promise.all(lost.map((jobId) => repairRow(this.store, this.rows, jobId)));
    this.retake(waiting);
  }
}

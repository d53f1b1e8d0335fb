/** Histories made by hand, to see that the judge finds what is wrong with them. */
import type { Job, JobStatus, LedgerEvent } from '../../../src/api/contract.js';
import { viewPastJob } from '../../../src/api/job-view.js';
import { PRESETS } from '../../../src/domain/policy.js';
import type { RecordedEvent } from '../../../src/event-store/event-store.js';
import { replay } from '../../../src/projections/jobs/stored-job.js';
import type { History } from './history.js';
import type { RecordedCall } from './recorder.js';

export const JOB = '01980000-0000-7000-8000-00000000000a';
export const OTHER = '01980000-0000-7000-8000-00000000000b';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
export type MadeEvent = Mutable<LedgerEvent>;
export type MadeCall = Mutable<RecordedCall>;

interface Told {
  readonly jobId: string;
  readonly key: string | null;
  readonly type: string;
  readonly data?: Record<string, unknown>;
  readonly to?: JobStatus | null;
  readonly run?: number;
  readonly attempt?: number;
}

const START_MS = Date.parse('2026-01-01T00:00:00.000Z');
const at = (seconds: number): string => new Date(START_MS + seconds * 1_000).toISOString();

const spec = {
  ...{ type: 'report', queue: 'default', payload: { page: 1 }, priority: 0, tags: [], autostart: true },
  ...{ availableAt: null, maxAttempts: null, total: null, policy: null, preset: null },
  ...{ correlationId: 'c', createdBy: 'anonymous' },
};

const asRecorded = (event: LedgerEvent): RecordedEvent => {
  const { position, stream, revision, id, type, version, at: time, data, ...metadata } = event;
  return { position, stream, revision, id, type, version, at: time, data, metadata } as unknown as RecordedEvent;
};

/** Writes a log and the calls that caused it. Everything may be changed afterwards. */
export class MadeHistory {
  readonly events: MadeEvent[] = [];
  readonly calls: MadeCall[] = [];
  private tick = 0;

  event({ jobId, key, type, data = {}, to = null, run = 1, attempt = 0 }: Told): MadeEvent {
    const isFact = type === 'ProgressRecorded';
    const stream = `${isFact ? 'work' : type === 'CommandRefused' ? 'refusals' : 'job'}-${jobId}`;
    const before = this.events.filter((event) => event.stream === `job-${jobId}`).at(-1);
    const event: MadeEvent = {
      position: String(this.events.length + 1),
      stream,
      revision: this.events.filter((other) => other.stream === stream).length,
      id: `event-${this.events.length + 1}`,
      ...{ type, version: 1, at: at(this.events.length), jobId, run, attempt },
      from: to === null ? null : (before?.to ?? null),
      ...{ to, data, reason: null, actor: { type: 'client', id: 'test' }, commandId: key },
      ...{ correlationId: 'c', causationId: null, traceparent: null, keyId: null },
    };
    this.events.push(event);
    return event;
  }

  /** A call that returned, unless `outcome` says otherwise. */
  call(method: string, path: string, key: string | null, body: unknown, status: number, answer: unknown): MadeCall {
    const invokedAt = (this.tick += 1);
    const call: MadeCall = {
      ...{ id: this.calls.length, lane: 'test', node: 'a', method, path, key, body, headers: {}, invokedAt },
      returnedAt: (this.tick += 1),
      outcome: { kind: 'answered', status, headers: { 'x-position': String(this.events.length) }, body: answer },
    };
    this.calls.push(call);
    return call;
  }

  /** The same call again, told the same as a repetition. */
  repeat(call: MadeCall): MadeCall {
    const { outcome } = call;
    const again = this.call(call.method, call.path, call.key, call.body, 200, null);
    if (outcome?.kind === 'answered') {
      again.outcome = { ...outcome, headers: { ...outcome.headers, 'idempotent-replayed': 'true' } };
    }
    return again;
  }

  /** A command on a job that appended these events: appends them, and answers. */
  command(
    jobId: string,
    path: string,
    key: string,
    body: unknown,
    told: readonly Omit<Told, 'jobId' | 'key'>[],
  ): MadeCall {
    const events = told.map((event) => this.event({ ...event, jobId, key }));
    const own = this.events.filter((event) => event.stream === `job-${jobId}`).at(-1)!;
    const last = events.at(-1)!;
    return this.call('POST', path, key, body, path === '/v1/jobs' ? 201 : 200, {
      ...{ jobId, status: own.to, run: own.run, attempt: own.attempt, revision: own.revision },
      ...{ position: last.position, events: events.map(({ type }) => type) },
    });
  }

  create(jobId: string, key: string): MadeCall {
    return this.command(jobId, '/v1/jobs', key, { type: 'report' }, [
      { type: 'JobCreated', data: { spec, reason: null }, to: 'created' },
      { type: 'JobQueued', data: { reason: 'created' }, to: 'queued' },
    ]);
  }

  claim(jobId: string, key: string, workerId: string, attempt: number): MadeCall {
    const leaseExpiresAt = at(this.events.length + 60);
    const data = { workerId, leaseMs: 60_000, leaseExpiresAt };
    this.event({ jobId, key, type: 'JobClaimed', data, to: 'claimed', attempt });
    this.event({ jobId, key, type: 'JobStarted', data: { workerId }, to: 'running', attempt });
    return this.call('POST', '/v1/claims', key, { workerId }, 200, {
      jobs: [{ job: this.view(jobId), attempt, leaseToken: `${jobId} ${attempt}`, leaseExpiresAt, checkpoint: null }],
      blocked: [],
    });
  }

  progress(jobId: string, key: string, attempt: number, batchId: string, processed: number): MadeCall {
    const data = { batchId, processed, failed: 0, skipped: 0, stage: null, current: null, total: null, message: null };
    const body = { leaseToken: `${jobId} ${attempt}`, batchId, processed };
    return this.command(jobId, `/v1/jobs/${jobId}/progress`, key, body, [{ type: 'ProgressRecorded', data, attempt }]);
  }

  heartbeat(jobId: string, key: string, attempt: number, leaseExpiresAt: string): MadeCall {
    const body = { leaseToken: `${jobId} ${attempt}` };
    const answer = { leaseExpiresAt, directive: 'continue' };
    return this.call('POST', `/v1/jobs/${jobId}/heartbeat`, key, body, 200, answer);
  }

  loseLease(jobId: string, workerId: string, attempt: number): void {
    const evidence = { rule: 'lease_expired' };
    const data = { workerId, lostLeases: 1, evidence };
    this.event({ jobId, key: 'reap', type: 'LeaseExpired', data, to: 'running', attempt });
    this.event({ jobId, key: 'reap', type: 'JobQueued', data: { reason: 'lease_expired' }, to: 'queued', attempt });
  }

  complete(jobId: string, key: string, attempt: number): MadeCall {
    const body = { leaseToken: `${jobId} ${attempt}`, result: 42 };
    const data = { result: 42, countedTo: String(this.events.length + 1) };
    return this.command(jobId, `/v1/jobs/${jobId}/complete`, key, body, [
      { type: 'JobCompleted', data, to: 'completed', attempt },
    ]);
  }

  /** A call with a lease that is lost: refused, and recorded. */
  refuse(jobId: string, key: string, workerId: string, attempt: number): MadeCall {
    const own = this.events.filter((event) => event.stream === `job-${jobId}`).at(-1)!;
    const data = { command: 'complete', code: 'stale_lease', run: 1, attempt, workerId, error: null };
    this.event({ jobId, key, type: 'CommandRefused', data, attempt: own.attempt ?? 0 });
    const body = { leaseToken: `${jobId} ${attempt}` };
    const { to: jobStatus, run, revision } = own;
    const problem = { code: 'stale_lease', jobStatus, run, attempt: own.attempt, revision };
    return this.call('POST', `/v1/jobs/${jobId}/complete`, key, body, 409, problem);
  }

  read(jobId: string): MadeCall {
    return this.call('GET', `/v1/jobs/${jobId}`, null, null, 200, this.view(jobId));
  }

  readLog(): MadeCall {
    return this.call('GET', '/v1/events?after=0', null, null, 200, { items: [...this.events], nextCursor: null });
  }

  /** The job as its events up to now tell it. */
  view(jobId: string): Mutable<Job> {
    const own = this.events.filter((event) => event.jobId === jobId);
    return viewPastJob(replay(own.map(asRecorded)).stored!, PRESETS.protea);
  }

  /** What the ledger says at rest. */
  end(): History {
    const jobs = [...new Set(this.events.map(({ jobId }) => jobId!))].map((id) => this.view(id));
    const byStatus: Partial<Record<JobStatus, number>> = {};
    for (const { status } of jobs) byStatus[status] = (byStatus[status] ?? 0) + 1;
    const events = this.events.filter(({ type }) => type !== 'CommandRefused').length;
    const position = String(this.events.length);
    const counters = {
      ...{ position, at: at(0), total: jobs.length, byStatus, events },
      ...{ byQueue: { default: byStatus }, byType: { report: byStatus } },
    };
    return { log: 'database', calls: this.calls, events: this.events, jobs, counters: [counters] };
  }
}

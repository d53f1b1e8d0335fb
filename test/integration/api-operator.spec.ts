/** What operators do to a job by hand, over HTTP: cell by cell where the table of commands and states speaks of them. */
/* eslint-disable @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-return,
   @typescript-eslint/no-unsafe-call, @typescript-eslint/restrict-plus-operands
   -- answers are looked into by name. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { ApiKeys } from '../../src/api/keys/api-keys.js';
import { Caller, startApp, type Answer, type SendOptions, type TestApp } from '../support/app.js';
import { KeyFile, withKey } from '../support/key-file.js';

let app: TestApp;
let file: KeyFile;
let call: Caller;
beforeAll(async () => {
  file = new KeyFile({ admin: ['admin'], olga: ['operator'], dispatcher: ['dispatcher'] });
  app = await startApp({ keys: new ApiKeys(file.path, { changed: () => undefined, failed: () => undefined }) });
  call = new (class extends Caller {
    override send(method: string, path: string, body?: unknown, options: SendOptions = {}): Promise<Answer> {
      return super.send(method, path, body, { headers: { ...withKey('admin').headers, ...options.headers } });
    }
  })(app.url);
});
afterAll(async () => {
  await app.close();
  file.remove();
});

const operate = (jobId: string, name: string, body: object = {}, headers: object = {}): Promise<Answer> =>
  call.post(`/v1/admin/jobs/${jobId}/${name}`, body, { headers: { ...withKey('olga').headers, ...headers } });

const read = async (jobId: string): Promise<any> => (await call.get(`/v1/jobs/${jobId}`)).body;
const eventsOf = async (jobId: string): Promise<readonly any[]> =>
  (await call.get(`/v1/jobs/${jobId}/events?limit=200`)).body.items;
const typesOf = async (jobId: string): Promise<readonly string[]> => (await eventsOf(jobId)).map(({ type }) => type);

/** A job of a queue of its own, and its claim. */
const held = async (over: object = {}): Promise<any> => {
  const queue = `q-${randomUUID()}`;
  await call.create({ queue });
  return call.claim(queue, over);
};

/** A job in each state that HTTP can bring one to. */
const WAYS: Readonly<Record<string, () => Promise<string>>> = {
  created: async () => (await call.create({ autostart: false })).jobId,
  scheduled: async () => (await call.create({ delayMs: 3_600_000 })).jobId,
  queued: async () => (await call.create()).jobId,
  claimed: async () => (await held({ start: false })).job.id,
  running: async () => (await held()).job.id,
  waiting: async () => {
    const claimed = await held();
    await call.worker(claimed, 'wait', { reason: 'approval' });
    return claimed.job.id;
  },
  cancelling: async () => {
    const claimed = await held();
    await call.post(`/v1/jobs/${claimed.job.id}/cancel`);
    return claimed.job.id;
  },
  completed: async () => {
    const claimed = await held();
    await call.worker(claimed, 'complete', { result: { ok: true } });
    return claimed.job.id;
  },
  failed: async () => {
    const claimed = await held();
    await call.worker(claimed, 'fail', { code: 'E', message: 'e', retryable: false });
    return claimed.job.id;
  },
  cancelled: async () => {
    const { jobId } = await call.create();
    await call.post(`/v1/jobs/${jobId}/cancel`);
    return jobId;
  },
};

/** Events, then the state after them; or the code of the refusal. */
const [ILLEGAL, TERMINAL] = ['illegal_transition', 'already_terminal'];
const FAILED = 'JobFailed > failed';
const CANCELLED = 'JobCancelled > cancelled';
const CELLS: Readonly<Record<string, Readonly<Record<string, string | undefined>>>> = {
  'force-fail': {
    ...{ created: ILLEGAL, scheduled: ILLEGAL, queued: ILLEGAL },
    ...{ claimed: FAILED, running: FAILED, waiting: FAILED, cancelling: FAILED },
    ...{ completed: TERMINAL, failed: TERMINAL, cancelled: TERMINAL },
  },
  'emergency-stop': {
    ...{ created: FAILED, scheduled: FAILED, queued: FAILED },
    ...{ claimed: FAILED, running: FAILED, waiting: FAILED, cancelling: FAILED },
    ...{ completed: ' > completed', failed: ' > failed', cancelled: ' > cancelled' },
  },
  requeue: {
    ...{ created: ILLEGAL, scheduled: ILLEGAL, queued: ILLEGAL, waiting: ILLEGAL, cancelling: ILLEGAL },
    ...{ claimed: 'JobReleased JobQueued > queued', running: 'JobReleased JobQueued > queued' },
    ...{ completed: TERMINAL, failed: 'JobRetried JobQueued > queued', cancelled: TERMINAL },
  },
  cancel: {
    ...{ created: CANCELLED, scheduled: CANCELLED, queued: CANCELLED, waiting: CANCELLED },
    ...{
      claimed: 'CancelRequested > cancelling',
      running: 'CancelRequested > cancelling',
      cancelling: ' > cancelling',
    },
    ...{ completed: TERMINAL, failed: TERMINAL, cancelled: ' > cancelled' },
  },
};

describe.each(Object.keys(CELLS))('%s', (name) => {
  it.each(Object.keys(WAYS))('of a job that is %s', async (state) => {
    const jobId = await WAYS[state]!();
    const before = await read(jobId);
    expect(before.status).toBe(state);
    const { status, body } = await operate(jobId, name, { reason: 'by hand' });
    const cell = CELLS[name]![state];
    if (status === 409) {
      expect([body.code, body.jobStatus, body.revision]).toEqual([cell, state, before.revision]);
      // Kept, told who and why, and nothing else has changed.
      const [last] = (await eventsOf(jobId)).slice(-1);
      expect(last).toMatchObject({
        type: 'CommandRefused',
        reason: 'by hand',
        actor: { type: 'operator', id: 'olga' },
        data: { command: name, code: cell, workerId: null },
      });
      expect(await read(jobId)).toEqual(before);
      return;
    }
    expect([status, `${body.events.join(' ')} > ${body.status}`]).toEqual([200, cell]);
    const added = (await eventsOf(jobId)).slice(-body.events.length || Infinity);
    for (const { actor, reason } of added)
      expect([actor, reason]).toEqual([{ type: 'operator', id: 'olga' }, 'by hand']);
    expect(await read(jobId)).toMatchObject({ status: body.status, revision: body.revision });
  });
});

describe('force-fail', () => {
  it('ends a running job as ManualTimeout in one append, tells who and why, and fences its worker [P-17] [D-09]', async () => {
    const claimed = await held();
    const { id } = claimed.job;
    const forbidden = await call.post(`/v1/admin/jobs/${id}/force-fail`, {}, withKey('dispatcher'));
    expect([forbidden.status, forbidden.body.code]).toEqual([403, 'forbidden']);
    expect(await typesOf(id)).toEqual(['JobCreated', 'JobQueued', 'JobClaimed', 'JobStarted']);
    const { body } = await operate(id, 'force-fail', { reason: 'hangs since noon' });
    expect(body).toMatchObject({ status: 'failed', events: ['JobFailed'] });
    const error = {
      code: 'ManualTimeout',
      message: 'Manually marked FAILED by operator',
      detail: null,
    };
    expect(await read(id)).toMatchObject({
      ...{ status: 'failed', error, lease: null, deadline: null, deadLettered: false, failedAttempts: 0 },
      failures: [{ run: 1, attempt: 1, code: 'ManualTimeout', message: error.message }],
    });
    expect((await eventsOf(id)).slice(-1)).toMatchObject([
      {
        ...{ type: 'JobFailed', from: 'running', to: 'failed', reason: 'hangs since noon' },
        ...{ actor: { type: 'operator', id: 'olga' }, data: { error, reason: 'hangs since noon' } },
      },
    ]);
    for (const said of ['heartbeat', 'complete', 'release']) {
      const refused = await call.worker(claimed, said, said === 'release' ? { reason: 'r' } : {});
      expect([said, refused.status, refused.body.code]).toEqual([said, 409, 'stale_lease']);
    }
    const types = await typesOf(id);
    expect(types.filter((type) => type === 'JobFailed')).toHaveLength(1);
  });

  it('leaves a completed job as it is: 409, and not a trace of it but the refusal [P-17]', async () => {
    const id = await WAYS['completed']!();
    const before = await read(id);
    for (let times = 0; times < 3; times += 1) {
      expect(await operate(id, 'force-fail')).toMatchObject({ status: 409, body: { code: 'already_terminal' } });
    }
    expect(await read(id)).toEqual(before);
    expect((await typesOf(id)).slice(-2)).toEqual(['JobCompleted', 'CommandRefused']);
  });

  it('is done on the revision that the operator saw, and once under a key', async () => {
    const { id, revision } = (await held()).job;
    expect((await operate(id, 'force-fail', {}, { 'if-match': `${revision + 1}` })).status).toBe(412);
    const once = { 'idempotency-key': `fail ${id}`, 'if-match': `${revision}` };
    const first = await operate(id, 'force-fail', {}, once);
    const again = await operate(id, 'force-fail', {}, once);
    expect([first.status, again.status, again.headers.get('idempotent-replayed')]).toEqual([200, 200, 'true']);
    expect(again.body).toEqual(first.body);
    expect((await operate(id, 'cancel', {}, once)).status).toBe(422);
  });

  it('is refused by name with what it does not take, and of a job that is not there', async () => {
    const { id } = (await held()).job;
    const answers: readonly (readonly [Answer, number, string])[] = [
      [await operate(id, 'force-fail', { force: true }), 400, 'force'],
      [await operate(id, 'force-fail', { reason: '' }), 400, 'reason'],
      [await operate(id, 'force-fail', { reason: 'x'.repeat(4_001) }), 400, 'reason'],
      [await operate(id, 'cancel', { cascade: false }), 501, 'cascade'],
      [await operate(randomUUID(), 'force-fail'), 404, ''],
      [await operate(randomUUID(), 'emergency-stop'), 404, ''],
      [await operate('none', 'requeue'), 404, ''],
    ];
    for (const [{ status, body }, expected, path] of answers) {
      expect([status, body.errors?.[0]?.path ?? '']).toEqual([expected, path]);
    }
    expect(await read(id)).toMatchObject({ status: 'running' });
  });
});

describe('emergency-stop', () => {
  it('ends whatever is not ended as EmergencyStop, and finds nothing left to stop the second time [B-29]', async () => {
    const id = await WAYS['scheduled']!();
    expect((await operate(id, 'emergency-stop', { reason: 'fire' })).body.events).toEqual(['JobFailed']);
    const stopped = await read(id);
    expect(stopped).toMatchObject({ status: 'failed', error: { code: 'EmergencyStop' }, waiting: null, failures: [] });
    expect(await operate(id, 'emergency-stop')).toMatchObject({ status: 200, body: { status: 'failed', events: [] } });
    expect(await read(id)).toEqual(stopped);
    expect((await call.post(`/v1/jobs/${id}/retry`)).body).toMatchObject({ status: 'queued', run: 2 });
  });

  it('against the end that the worker reports: one ends the run, whichever it is [R-20]', async () => {
    const ends = await Promise.all(
      Array.from({ length: 25 }, async (_, n) => {
        const claimed = await held();
        const { id } = claimed.job;
        const complete = () => call.worker(claimed, 'complete', { result: n });
        const stop = () => operate(id, 'emergency-stop');
        const [first, second] = n % 2 === 0 ? [complete, stop] : [stop, complete];
        const answers = await Promise.all([first(), second()]);
        const [completed, stopped] = n % 2 === 0 ? answers : answers.toReversed();
        const job = await read(id);
        const terminal = (await typesOf(id)).filter((type) => type === 'JobCompleted' || type === 'JobFailed');
        expect(terminal).toHaveLength(1);
        // Who came second to a stop is stale; a stop that came second does nothing, and says what it found.
        if (job.status === 'completed') {
          expect([completed!.status, stopped!.status, stopped!.body.events, stopped!.body.status, job.result]).toEqual([
            ...[200, 200, [], 'completed', n],
          ]);
        } else {
          expect([job.error.code, completed!.body.code, stopped!.body.events]).toEqual([
            ...['EmergencyStop', 'stale_lease', ['JobFailed']],
          ]);
        }
        return job.status as string;
      }),
    );
    expect(new Set(ends).size).toBeGreaterThan(0);
  });
});

describe('requeue', () => {
  it('takes a job away from its worker, in the same run and at no cost; the next claim is the next attempt', async () => {
    const claimed = await held();
    const { id, queue } = claimed.job;
    await operate(id, 'requeue', { reason: 'its host is drained' });
    expect(await read(id)).toMatchObject({
      ...{ status: 'queued', run: 1, attempt: 1, failedAttempts: 0, lostLeases: 0, lease: null, startedAt: null },
      failures: [],
    });
    const [released, queued] = (await eventsOf(id)).slice(-2);
    expect([released.type, released.data, released.from, released.to]).toEqual([
      ...['JobReleased', { reason: 'its host is drained' }, 'running', 'running'],
    ]);
    expect([queued.type, queued.data, queued.from, queued.to]).toEqual([
      ...['JobQueued', { reason: 'requeued' }, 'running', 'queued'],
    ]);
    expect((await call.worker(claimed, 'complete')).body.code).toBe('stale_lease');
    expect(await call.claim(queue)).toMatchObject({ attempt: 2, job: { id, status: 'running' } });
  });

  it('gives a dead letter a new run', async () => {
    const id = await WAYS['failed']!();
    expect((await read(id)).deadLettered).toBe(true);
    expect((await operate(id, 'requeue')).body).toMatchObject({ status: 'queued', run: 2, attempt: 0 });
    expect(await read(id)).toMatchObject({ deadLettered: false, error: null, failures: [{ run: 1, code: 'E' }] });
  });
});

describe('metrics', () => {
  const metrics = async (position?: string): Promise<ReadonlyMap<string, number>> => {
    if (position !== undefined) await call.get('/v1/counters', { headers: { 'x-min-position': position } });
    const text = await (await fetch(`${app.url}/metrics`, withKey('olga'))).text();
    const lines = text.split('\n').filter((line) => line.startsWith('jobledger_'));
    return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
  };

  it('count what was done by hand, what was refused and what was in effect, exactly [B-31]', async () => {
    const [running, stopped, dead] = [(await held()).job.id, (await held()).job.id, await WAYS['failed']!()];
    const before = await metrics((await read(dead)).position);
    await operate(running, 'force-fail');
    await operate(running, 'force-fail');
    await operate(stopped, 'emergency-stop');
    await operate(stopped, 'emergency-stop');
    const { body } = await operate(dead, 'requeue');
    await call.post(`/v1/admin/jobs/${dead}/cancel`, {}, withKey('dispatcher'));
    await fetch(`${app.url}/v1/admin/jobs/${dead}/cancel`, { method: 'POST' });
    const after = await metrics(body.position);
    const changed = [...after].filter(
      ([name, now]) => now !== (before.get(name) ?? 0) && !/_seconds|_lag_|_bucket|_connections/.test(name),
    );
    expect(Object.fromEntries(changed.map(([name, now]) => [name, now - (before.get(name) ?? 0)]))).toEqual({
      jobledger_batch_commands_count: 3,
      jobledger_batch_commands_sum: 3,
      jobledger_leases_held: -2,
      'jobledger_commands_total{command="force-fail",outcome="done"}': 1,
      'jobledger_commands_total{command="force-fail",outcome="refused"}': 1,
      'jobledger_commands_total{command="emergency-stop",outcome="done"}': 1,
      'jobledger_commands_total{command="emergency-stop",outcome="in_effect"}': 1,
      'jobledger_commands_total{command="requeue",outcome="done"}': 1,
      'jobledger_refused_total{code="already_terminal"}': 1,
      'jobledger_refused_total{code="forbidden"}': 1,
      'jobledger_refused_total{code="unauthenticated"}': 1,
      'jobledger_events_total{type="JobFailed"}': 2,
      'jobledger_events_total{type="JobRetried"}': 1,
      'jobledger_events_total{type="JobQueued"}': 1,
      'jobledger_events_total{type="CommandRefused"}': 1,
      jobledger_jobs_failed_total: 2,
      jobledger_jobs_retried_total: 1,
      'jobledger_jobs{status="running"}': -2,
      'jobledger_jobs{status="failed"}': 1,
      'jobledger_jobs{status="queued"}': 1,
    });
  });
});

describe('hold', () => {
  it('keeps what nobody has from being claimed until it is resumed', async () => {
    const queue = `q-${randomUUID()}`;
    const { jobId } = await call.create({ queue });
    const path = `/v1/jobs/${jobId}`;
    expect((await call.post(`${path}/hold`, { reason: 'audit' })).body).toMatchObject({
      status: 'waiting',
      events: ['JobHeld', 'JobWaiting'],
    });
    expect(await read(jobId)).toMatchObject({
      status: 'waiting',
      waiting: { reason: 'paused', detail: 'audit' },
      directive: null,
    });
    expect(await call.claim(queue)).toBeUndefined();
    expect((await call.post(`${path}/hold`)).body.events).toEqual([]);
    expect((await call.post(`${path}/resume`)).body.events).toEqual(['JobResumed', 'JobQueued']);
    expect(await call.claim(queue)).toMatchObject({ job: { id: jobId } });
  });

  it('tells a worker to pause, and what it gives back waits', async () => {
    const claimed = await held();
    const { id, queue } = claimed.job;
    expect((await call.post(`/v1/jobs/${id}/hold`)).body).toMatchObject({ status: 'running', events: ['JobHeld'] });
    expect(await read(id)).toMatchObject({ status: 'running', directive: 'pause' });
    expect((await call.worker(claimed, 'heartbeat')).body.directive).toBe('pause');
    expect((await call.worker(claimed, 'release', { reason: 'held' })).body).toMatchObject({ status: 'waiting' });
    expect(await call.claim(queue)).toBeUndefined();
    await call.post(`/v1/jobs/${id}/resume`);
    const again = await call.claim(queue);
    expect((await call.worker(again, 'heartbeat')).body.directive).toBe('continue');
  });

  it('is taken back by resume while the worker has not heard of it', async () => {
    const claimed = await held();
    const { id } = claimed.job;
    await call.post(`/v1/jobs/${id}/hold`);
    expect((await call.post(`/v1/jobs/${id}/resume`)).body.events).toEqual(['JobResumed']);
    expect((await call.worker(claimed, 'heartbeat')).body.directive).toBe('continue');
    expect((await call.worker(claimed, 'release', { reason: 'r' })).body.status).toBe('queued');
  });
});

/**
 * One fold of one log says everything of a job, and only commands write it: pages, lists, claims and counters agree, and
 * no counter is read, changed and written back. Two processes serve one database.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { ClaimedJob, CommandAnswer, Counters, Job, JobStatus, LedgerEvent } from '../../src/api/contract.js';
import { startApp, type TestApp } from '../support/app.js';
import { LedgerCaller, LONG_LEASE, newQueue } from '../support/ledger-caller.js';
import { createTestDatabase } from '../support/test-database.js';

let apps: readonly TestApp[];
let ledger: LedgerCaller;
let other: LedgerCaller;
beforeAll(async () => {
  const first = await startApp();
  apps = [await startApp({ databaseUrl: first.databaseUrl }), first];
  [ledger, other] = apps.map(({ url }) => new LedgerCaller(url)) as [LedgerCaller, LedgerCaller];
});
afterAll(async () => {
  for (const app of apps) await app.close();
});

const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n));

describe('what is said of a job', () => {
  const JOBS = 40;

  /** A life of a job in the hands of a worker, another for each. */
  const work = async (on: LedgerCaller, claimed: ClaimedJob, nth: number): Promise<void> => {
    for (const n of times(3, (index) => index))
      await on.must(claimed, 'progress', { batchId: `b${n}`, processed: n + 1, total: 6 });
    if (nth % 5 === 0) await on.must(claimed, 'release', { reason: 'shutdown' });
    else if (nth % 5 === 1) await on.must(claimed, 'fail', { code: 'E', message: 'e', retryable: false });
    else await on.must(claimed, 'complete', { result: nth });
  };

  /** What the service says of jobs of a queue while its workers are at it, from all places that say something. */
  const watch = async (queue: string, until: Promise<unknown>) => {
    const jobs: Job[] = [];
    const counters: Counters[] = [];
    const over = { is: false };
    void until.finally(() => (over.is = true)).catch(() => undefined);
    for (let turn = 0; !over.is; turn += 1) {
      const on = turn % 2 === 0 ? ledger : other;
      const listed = await on.jobs(`queue=${queue}`);
      jobs.push(...listed.filter((_, n) => n % 4 === turn % 4));
      jobs.push(await on.job(listed[turn % listed.length]!.id));
      counters.push(await on.counters('0'));
    }
    await until;
    return { jobs, counters };
  };

  it('is the same on its page, in lists, claims and counters, at each position of the log, under load [A-04]', async () => {
    const queue = newQueue();
    const ids = await Promise.all(times(JOBS, async () => (await ledger.create({ queue })).jobId));
    const claims: ClaimedJob[] = [];
    let lives = 0;
    const worker = async (n: number): Promise<void> => {
      const on = n % 2 === 0 ? ledger : other;
      for (;;) {
        const [claimed] = await on.claims(`w${n}`, { queues: [queue], ...LONG_LEASE });
        if (claimed === undefined) return;
        claims.push(claimed);
        await work(on, claimed, (lives += 1));
      }
    };
    const { jobs, counters } = await watch(queue, Promise.all(times(4, worker)));

    const histories = new Map<string, readonly LedgerEvent[]>();
    for (const id of ids) histories.set(id, await ledger.events(id));
    const upTo = (id: string, position: string) =>
      histories.get(id)!.filter((event) => BigInt(event.position) <= BigInt(position));
    const statusAt = (id: string, position: string): JobStatus | null =>
      upTo(id, position).findLast(({ to }) => to !== null)?.to ?? null;
    // Progress is that of the last attempt.
    const processedAt = (id: string, position: string, { run, attempt }: Job): number =>
      upTo(id, position)
        .filter((event) => event.type === 'ProgressRecorded' && event.run === run && event.attempt === attempt)
        .reduce((sum, { data }) => sum + (data.processed as number), 0);

    expect(jobs.length).toBeGreaterThan(JOBS);
    for (const job of [...jobs, ...claims.map((claimed) => claimed.job)]) {
      const { id, position, status, progress } = job;
      expect([id, position, status]).toEqual([id, position, statusAt(id, position)]);
      expect([id, position, progress.processed]).toEqual([id, position, processedAt(id, position, job)]);
    }
    for (const { position, byQueue } of counters) {
      const expected: Record<string, number> = {};
      for (const status of ids.map((id) => statusAt(id, position)))
        if (status !== null) expected[status] = (expected[status] ?? 0) + 1;
      const counted = Object.entries(byQueue[queue] ?? {}).filter(([, count]) => count > 0);
      expect([position, Object.fromEntries(counted)]).toEqual([position, expected]);
    }
    // Whoever was given a job took it from a state in which it was to be had.
    for (const id of ids)
      for (const { type, from } of histories.get(id)!)
        if (type === 'JobClaimed') expect([id, from]).toEqual([id, 'queued']);
  });

  it('says what is claimable as the claims do that take it [A-04]', async () => {
    const queue = newQueue();
    await Promise.all(times(12, (n) => ledger.create({ queue, autostart: n % 3 !== 0 })));
    const held = await ledger.next(queue, LONG_LEASE);
    const { position } = await ledger.must(held, 'complete');
    const { byQueue } = await other.counters(position);
    const depth = (await other.get(`/v1/queues/${queue}`, { headers: { 'x-min-position': position } })).body.depth;
    const listed = await other.jobs(`queue=${queue}&status=queued`);
    const taken = await other.claims('w', { queues: [queue], max: 100 });
    expect([depth, byQueue[queue]?.queued, listed.length, taken.length]).toEqual([7, 7, 7, 7]);
    expect(new Set(taken.map(({ job }) => job.id))).toEqual(new Set(listed.map(({ id }) => id)));
  });
});

describe('a row that lags behind the log', () => {
  it('gives nobody a job that was cancelled or taken meanwhile: the next candidate is taken [D-27]', async () => {
    const { pool } = apps[1]!.service;
    const queue = newQueue();
    const ids = await Promise.all(
      ['cancelled', 'taken'].map(async () => (await ledger.create({ queue, priority: 1 })).jobId),
    );
    await pool.query('create table public.lagging as select * from jobledger.jobs where id = any ($1::uuid[])', [ids]);
    await ledger.command(ids[0]!, 'cancel');
    const held = await ledger.next(queue, LONG_LEASE);
    expect(held.job.id).toBe(ids[1]);
    const { jobId: next } = await ledger.create({ queue });
    await pool.query('delete from jobledger.jobs where id = any ($1::uuid[])', [ids]);
    await pool.query('insert into jobledger.jobs select * from public.lagging');

    const third = await startApp({ databaseUrl: apps[1]!.databaseUrl });
    try {
      const claims = await new LedgerCaller(third.url).claims('late', { queues: [queue], max: 10 });
      expect(claims.map(({ job }) => job.id)).toEqual([next]);
    } finally {
      await third.close();
    }
    expect((await other.job(ids[0]!)).status).toBe('cancelled');
    expect(await other.job(ids[1]!)).toMatchObject({ status: 'running', attempt: 1, lease: { workerId: 'w1' } });
    await other.must(held, 'complete');
    for (const id of ids) expect((await ledger.eventsOf(id, 'JobClaimed')).length).toBe(id === ids[1] ? 1 : 0);
  });
});

/** A counter of reports: how many it knows after all were made. */
interface Counter {
  readonly report: (nth: number) => Promise<unknown>;
  readonly count: () => Promise<number>;
}

/** As many reports at once, and what is left of them. */
const lostOf = async ({ report, count }: Counter, reports: number): Promise<number> => {
  await Promise.all(times(reports, report));
  return reports - (await count());
};

/** How the counts of one of the origin systems were kept: a document that is read, changed, and written back. */
const naiveCounter = async (pool: pg.Pool, writers: number): Promise<Counter> => {
  await pool.query('create table naive (doc jsonb)');
  await pool.query(`insert into naive values ('{"processed": 0}')`);
  let read = 0;
  let go: () => void;
  const allHaveRead = new Promise<void>((resolve) => (go = resolve));
  const count = async (): Promise<number> =>
    (await pool.query<{ doc: { processed: number } }>('select doc from naive')).rows[0]!.doc.processed;
  const report = async (): Promise<void> => {
    const processed = await count();
    // The interleaving that loses: nobody writes before all have read.
    if ((read += 1) === writers) go();
    await allHaveRead;
    await pool.query('update naive set doc = $1', [JSON.stringify({ processed: processed + 1 })]);
  };
  return { report, count };
};

describe('counting the reports of many at once', () => {
  it('loses all but one where a document is read, changed and written back, and none here [A-12]', async () => {
    const WRITERS = 20;
    const database = await createTestDatabase();
    const pool = new pg.Pool({ connectionString: database.url });
    try {
      expect(await lostOf(await naiveCounter(pool, WRITERS), WRITERS)).toBe(WRITERS - 1);
    } finally {
      await pool.end();
      await database.drop();
    }
    const held = await ledger.hold({}, LONG_LEASE);
    const { id } = held.job;
    const ours: Counter = {
      report: (n) => (n % 2 === 0 ? ledger : other).must(held, 'progress', { batchId: `b${n}`, processed: 1 }),
      count: async () => (await ledger.job(id)).progress.processed,
    };
    expect(await lostOf(ours, WRITERS)).toBe(0);
  });
});

describe('every call that changes a job', () => {
  const held = () => ledger.hold({}, LONG_LEASE);
  const queued = async () => ({ id: (await ledger.create({ queue: newQueue() })).jobId });
  const ended = async () => {
    const claimed = await held();
    await ledger.must(claimed, 'fail', { code: 'E', message: 'e', retryable: false });
    return { id: claimed.job.id };
  };
  const asWorker =
    (call: string, body: object = {}, prepare = held) =>
    async () => {
      const claimed = await prepare();
      return {
        id: claimed.job.id,
        path: `/v1/jobs/${claimed.job.id}/${call}`,
        body: { leaseToken: claimed.leaseToken, ...body },
      };
    };
  const asClient =
    (call: string, body: object = {}, prepare: () => Promise<{ readonly id: string }> = queued, root = '/v1/jobs') =>
    async () => {
      const { id } = await prepare();
      return { id, path: `${root}/${id}/${call}`, body };
    };
  const asOperator = (call: string, prepare = queued) =>
    asClient(call, { reason: 'by hand' }, prepare, '/v1/admin/jobs');
  const heldId = async () => ({ id: (await held()).job.id });
  const draft = async () => ({ id: (await ledger.create({ queue: newQueue(), autostart: false })).jobId });
  const onHold = async () => {
    const { id } = await queued();
    await ledger.command(id, 'hold');
    return { id };
  };
  const notStarted = () => ledger.hold({}, { ...LONG_LEASE, start: false });

  it.each([
    ['start', asClient('start', {}, draft)],
    ['start of a worker', asWorker('start', {}, notStarted)],
    ['heartbeat with a state', asWorker('heartbeat', { state: 'warm' })],
    ['progress', asWorker('progress', { batchId: 'b', processed: 1 })],
    ['complete', asWorker('complete', { result: 1 })],
    ['fail', asWorker('fail', { code: 'E', message: 'e' })],
    ['throttle', asWorker('throttle', { retryAfterMs: 60_000 })],
    ['wait', asWorker('wait', { reason: 'approval', until: '2100-01-01T00:00:00.000Z' })],
    ['release', asWorker('release', { reason: 'shutdown' })],
    ['cancel', asClient('cancel')],
    ['cancel of one that is held', asClient('cancel', {}, heldId)],
    ['retry', asClient('retry', {}, ended)],
    ['hold', asClient('hold')],
    ['resume', asClient('resume', {}, onHold)],
    ['reschedule', asClient('reschedule', { delayMs: 60_000 })],
    ['priority', asClient('priority', { priority: 3 })],
    ['force-fail', asOperator('force-fail', heldId)],
    ['cancel by an operator', asOperator('cancel')],
    ['requeue', asOperator('requeue', heldId)],
    ['emergency-stop', asOperator('emergency-stop')],
  ])(
    'appends what it did under the id of its command, and no state changes otherwise: %s [A-14]',
    async (_, prepare) => {
      const { id, path, body } = await prepare();
      const before = await ledger.events(id);
      const { status, body: answer } = await other.post(path, body);
      expect([status, answer.code]).toEqual([200, undefined]);
      const after = await ledger.events(id);
      expect(after.slice(0, before.length)).toEqual(before);
      const added = after.slice(before.length);
      const known = new Set(before.map(({ commandId }) => commandId));
      expect(added.length).toBeGreaterThan(0);
      for (const { commandId, causationId } of added) {
        expect([commandId, causationId]).toEqual([added[0]!.commandId, added[0]!.commandId]);
        expect(known.has(commandId)).toBe(false);
      }
      const said = (answer as CommandAnswer).events as readonly string[] | undefined;
      if (said !== undefined) expect(added.map(({ type }) => type)).toEqual(said);
      // Each state is the one that an event led to, and each leads from the one before.
      const moves = after.filter(({ to }) => to !== null);
      moves.forEach(({ from }, n) => expect(from).toBe(n === 0 ? null : moves[n - 1]!.to));
      expect((await ledger.job(id)).status).toBe(moves.at(-1)!.to);
    },
  );
});

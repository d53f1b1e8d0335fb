/**
 * The service with its log in EventStoreDB and its rows in PostgreSQL: what a process that died between the two left is
 * made up for. A second installation on the same log stands for that process: it appends, and leaves no row here.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { comparePositions, Unavailable } from '../../src/event-store/event-store.js';
import { ClientDriver } from '../../src/event-store/eventstoredb/client-driver.js';
import { EventStoreDbEventStore } from '../../src/event-store/eventstoredb/eventstoredb-event-store.js';
import { Refused } from '../../src/commands/envelope.js';
import { LeaseUnsettled, TooManyStages } from '../../src/commands/errors.js';
import { MAX_STAGES } from '../../src/domain/progress.js';
import { replayJob } from '../../src/projections/jobs/job-history.js';
import { ReapJob } from '../../src/reaper/reap.saga.js';
import { openService, type Service } from '../../src/service.js';
import { Caller, startApp } from '../support/app.js';
import { waitFor } from '../support/e2e/wait.js';
import { FakeEventStoreDb } from '../support/eventstoredb/fake-server.js';
import { call, claim, create, execute, options, spec, tokenOf } from '../support/ledger.js';
import { LedgerCaller } from '../support/ledger-caller.js';
import { createTestDatabase } from '../support/test-database.js';

let server: FakeEventStoreDb;
let service: Service;
/** On the same log, with rows of its own. */
let stranger: Service;
const closers: (() => Promise<void>)[] = [];
const urls: string[] = [];
const databaseUrl = (): string => urls[0]!;

/** One more process on the database of `service`. */
const another = async (): Promise<Service> => {
  const opened = await openService(options(databaseUrl(), { eventStoreDbUrl: server.url }));
  closers.push(() => opened.close());
  return opened;
};

const open = async (): Promise<Service> => {
  const database = await createTestDatabase();
  urls.push(database.url);
  const opened = await openService(options(database.url, { eventStoreDbUrl: server.url }));
  closers.push(
    () => database.drop(),
    () => opened.close(),
  );
  return opened;
};

beforeAll(async () => {
  server = await FakeEventStoreDb.start();
  service = await open();
  stranger = await open();
  service.projections.start();
});
afterAll(async () => {
  for (const close of closers.reverse()) await close();
  server.stop();
});

const recoveryOf = ({ store }: Service): EventStoreDbEventStore => {
  if (store instanceof EventStoreDbEventStore) return store;
  throw new Error('the log is not in EventStoreDB');
};
/** Nobody takes a process for dead that worked on an intent within so long. */
const LONG_MS = 3_600_000;

const rowOf = async (jobId: string) => (await service.rows.load([jobId])).get(jobId);
const expectReplay = async (jobId: string): Promise<void> => {
  expect(await rowOf(jobId)).toEqual((await replayJob(service.store, jobId)).stored);
};
const keyed = (): { idempotency: { key: Buffer; fingerprint: Buffer } } => ({
  idempotency: { key: Buffer.from(randomUUID()), fingerprint: Buffer.from('the request') },
});

/** The next append waits, before it reaches the server, until it is thawed. */
const freezeNextAppend = (fate: 'is appended' | 'is not' = 'is appended') => {
  let thaw = (): void => undefined;
  const thawed = new Promise<void>((resolve) => (thaw = resolve));
  const append = jest.spyOn(ClientDriver.prototype, 'append').mockImplementationOnce(async function (
    this: ClientDriver,
    ...args
  ) {
    await thawed;
    if (fate === 'is not') throw new Unavailable('not written');
    return this.append(...args);
  });
  const before = append.mock.calls.length;
  return { hasBegun: () => append.mock.calls.length > before, thaw: () => thaw() };
};

describe('a row of a job', () => {
  it('is written with each command, as a replay has it', async () => {
    const { jobId } = await create(service, { total: 3 });
    const [claimed] = await claim(service);
    const token = tokenOf(claimed!);
    await execute(service, jobId, 'progress', { token });
    await execute(service, jobId, 'heartbeat', { token, checkpoint: { value: { n: 1 }, digest: 'd' } });
    await execute(service, jobId, 'complete', { token, result: { ok: true } });
    expect((await rowOf(jobId))?.job.status).toBe('completed');
    await expectReplay(jobId);
  });

  it('that an append did not leave is made up for, of a new job and of one that moved', async () => {
    const { jobId: moved } = await create(service, { queue: 'elsewhere' });
    await execute(stranger, moved, 'cancel');
    const { jobId: unknown } = await create(stranger, { queue: 'elsewhere' });
    for (const [jobId, status] of [
      [moved, 'cancelled'],
      [unknown, 'queued'],
    ] as const) {
      await waitFor('the row', async () => (await rowOf(jobId))?.job.status === status);
      await expectReplay(jobId);
    }
  });

  it('that was not there when its job moved is replayed', async () => {
    const { jobId } = await create(service, { queue: 'elsewhere' });
    await execute(stranger, jobId, 'cancel');
    await waitFor('the row', async () => (await stranger.rows.load([jobId])).get(jobId)?.job.status === 'cancelled');
  });

  it.each(['progress = \'"lost"\'', `progress = jsonb_set(progress, '{stages}', '[]')`, "saved_progress = '1'"])(
    'whose %s somebody wrote is read from the log by whatever moves progress',
    async (edit) => {
      const queue = randomUUID();
      const filter = { queues: [queue] };
      const { jobId } = await create(service, { queue });
      const token = tokenOf((await claim(service, { filter }))[0]!);
      const spoil = () => service.pool.query(`update jobledger.jobs set ${edit} where id = $1`, [jobId]);
      await execute(service, jobId, 'progress', { token, batchId: 'a', processed: 2 });
      await spoil();
      await execute(service, jobId, 'progress', { token, batchId: 'b', processed: 3 });
      await expectReplay(jobId);
      await spoil();
      await execute(service, jobId, 'heartbeat', { token, checkpoint: { value: 1, digest: 'one' } });
      await expectReplay(jobId);
      await execute(service, jobId, 'release', { token });
      await spoil();
      expect(await claim(service, { filter })).toHaveLength(1);
      await expectReplay(jobId);
      expect((await rowOf(jobId))?.progress.processed).toBe(5);
    },
  );

  it('that is old starves no claim: the next candidate is taken', async () => {
    const queue = randomUUID();
    const { jobId: gone } = await create(service, { queue, priority: 9 });
    await execute(stranger, gone, 'cancel');
    const { jobId: next } = await create(service, { queue });
    const claimed = await claim(service, { filter: { queues: [queue] } });
    expect(claimed.map(({ outcome }) => outcome.jobId)).toEqual([next]);
  });

  it('that is old costs a claim of several that one alone', async () => {
    const queue = randomUUID();
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) ids.push((await create(service, { queue })).jobId);
    await execute(stranger, ids[2]!, 'cancel');
    const with_ = keyed();
    const request = { filter: { queues: [queue] }, max: 5, ...with_ };
    const claimed = await claim(service, request);
    expect(claimed.map(({ outcome }) => outcome.jobId).sort()).toEqual(ids.filter((id) => id !== ids[2]).sort());
    const again = await claim(service, request);
    expect(again.map(({ outcome }) => outcome)).toEqual(
      expect.arrayContaining(
        claimed.map(({ outcome }) => expect.objectContaining({ jobId: outcome.jobId, replayed: true })),
      ),
    );
    expect(again).toHaveLength(4);
  });
});

describe('a row beside which another process appends, whose own rows are not there yet', () => {
  /** A held job, and how its next fact comes into the log alone. */
  const held = async () => {
    const queue = randomUUID();
    const { jobId } = await create(service, { queue });
    const [claimed] = await claim(service, { filter: { queues: [queue] } });
    const token = tokenOf(claimed!);
    await execute(service, jobId, 'progress', { token, batchId: 'first', processed: 2 });
    const append = async (batchId: string) => {
      const [first] = await service.store.readStream(`work-${jobId}`);
      const { type, version, data, metadata } = first!;
      const event = { id: randomUUID(), type, version, data: { ...data, batchId }, metadata };
      await service.store.append([{ stream: `work-${jobId}`, expected: 'any', events: [event] }]);
    };
    return { jobId, token, append };
  };
  const processedOf = async (jobId: string) => (await rowOf(jobId))?.progress.processed;

  it('has every fact up to one that is answered', async () => {
    const { jobId, token, append } = await held();
    await append('second');
    await execute(service, jobId, 'progress', { token, batchId: 'third', processed: 2 });
    await expectReplay(jobId);
    expect(await processedOf(jobId)).toBe(6);
    await append('third');
    await execute(service, jobId, 'progress', { token, batchId: 'fourth', processed: 2 });
    await expectReplay(jobId);
    expect(await processedOf(jobId)).toBe(8);
  });

  it('has every fact up to a transition that is answered: what a checkpoint saves is what stood before it', async () => {
    const { jobId, token, append } = await held();
    await append('second');
    await execute(service, jobId, 'heartbeat', { token, checkpoint: { value: { n: 1 }, digest: 'd' } });
    await expectReplay(jobId);
    expect((await rowOf(jobId))?.saved?.processed).toBe(4);
  });

  it('has every transition up to a fact that is answered', async () => {
    const { jobId, token } = await held();
    const { position } = await execute(stranger, jobId, 'cancel');
    const fact = await execute(service, jobId, 'progress', { token, batchId: 'second' });
    expect(comparePositions(fact.position, position)).toBe(1);
    await expectReplay(jobId);
  });

  it('has what was in the way of a command that lost', async () => {
    const { jobId } = await held();
    await execute(stranger, jobId, 'cancel', { force: true, reason: null });
    await expect(execute(service, jobId, 'hold', { reason: null })).rejects.toThrow(Refused);
    await expectReplay(jobId);
  });

  it('takes no stage beside those that a run may have', async () => {
    const { jobId, token } = await held();
    const report = (n: number) => execute(service, jobId, 'progress', { token, batchId: `b${n}`, stage: `s${n}` });
    for (let n = 0; n < MAX_STAGES; n += 20)
      await Promise.all(Array.from({ length: 20 }, (_, more) => report(n + more)));
    await expect(report(MAX_STAGES)).rejects.toThrow(TooManyStages);
    await expectReplay(jobId);
    expect(Object.keys((await rowOf(jobId))!.progress.stages)).toHaveLength(MAX_STAGES);
  });

  it('takes no fact that came to stand behind the end of its attempt, also where its key is repeated', async () => {
    const { jobId, token } = await held();
    await execute(stranger, jobId, 'cancel', { force: true, reason: null });
    const with_ = keyed();
    const late = () => execute(service, jobId, 'progress', { token, batchId: 'late' }, with_);
    await expect(late()).rejects.toThrow(Refused);
    await expect(late()).rejects.toThrow(Refused);
    await expectReplay(jobId);
    expect(await processedOf(jobId)).toBe(2);
  });
});

describe('a process that was frozen before its append, and taken for dead', () => {
  it('is told that its fact is refused, when that came to stand behind the end of its attempt', async () => {
    const queue = randomUUID();
    const { jobId } = await create(service, { queue });
    const [claimed] = await claim(service, { filter: { queues: [queue] } });
    const token = tokenOf(claimed!);
    const frozen = await another();
    const { hasBegun, thaw } = freezeNextAppend();
    const told = execute(frozen, jobId, 'progress', { token, batchId: 'late', processed: 5 }, keyed()).catch(
      (error: unknown) => error,
    );
    await waitFor('its append', hasBegun);
    // Nobody had begun anything else: what recovery gives up is the fact.
    expect(await recoveryOf(service).recover(0)).toBe(1);
    await execute(service, jobId, 'cancel', { force: true, reason: null });
    thaw();
    expect(await told).toBeInstanceOf(Refused);
    await expectReplay(jobId);
    expect((await rowOf(jobId))?.progress.processed).toBe(0);
  });
});

describe('an answer of the API', () => {
  it('counts no report that came to stand behind the end of its run, and says that it is refused [D-26]', async () => {
    const app = await startApp({ databaseUrl: databaseUrl(), service: { eventStoreDbUrl: server.url } });
    try {
      const worker = new LedgerCaller(app.url);
      const held = await worker.hold();
      const { id } = held.job;
      await worker.must(held, 'progress', { batchId: 'early', processed: 2 });
      const { hasBegun, thaw } = freezeNextAppend();
      const late = worker.worker(held, 'progress', { batchId: 'late', processed: 5 });
      await waitFor('its append', hasBegun);
      await recoveryOf(service).recover(0);
      await execute(service, id, 'cancel', { force: true, reason: null });
      thaw();
      const { status, body } = await late;
      expect([status, body.code, body.jobStatus]).toEqual([409, 'stale_lease', 'cancelled']);
      expect((await worker.events(id)).map(({ type }) => type).slice(-3)).toEqual([
        ...['JobCancelled', 'ProgressRecorded', 'CommandRefused'],
      ]);
      expect(await worker.job(id)).toMatchObject({ status: 'cancelled', progress: { processed: 2 } });
      expect(await worker.claims('w', { queues: [held.job.queue] })).toEqual([]);
      await expectReplay(id);
    } finally {
      await app.close();
    }
  });

  it('shows every event up to its X-Position, whoever appended it and whoever left its row', async () => {
    const { jobId } = await create(service, { queue: 'elsewhere' });
    const app = await startApp({ databaseUrl: databaseUrl(), service: { eventStoreDbUrl: server.url } });
    try {
      const { position } = await execute(stranger, jobId, 'cancel');
      const { body, headers } = await new Caller(app.url).get(`/v1/jobs/${jobId}`);
      expect(body).toMatchObject({ status: 'cancelled', position });
      expect(comparePositions(headers.get('x-position')!, position)).toBeGreaterThanOrEqual(0);
    } finally {
      await app.close();
    }
  });
});

describe('a command with a key', () => {
  it('gives the first answer again, on another process too', async () => {
    const with_ = keyed();
    const first = await create(service, {}, with_);
    expect(await create(service, {}, with_)).toMatchObject({
      jobId: first.jobId,
      position: first.position,
      replayed: true,
    });
  });

  it('that lost the log is finished, and its repeat gets the first answer', async () => {
    const specs = [1, 2, 3].map((n) => ({ spec: spec({ payload: { n }, queue: 'kept' }), reason: null }));
    const with_ = call(keyed());
    server.stop();
    await expect(service.ledger.create(specs, with_)).rejects.toThrow(Unavailable);
    await server.start();
    const repeated = service.ledger.create(specs, with_);
    await recoveryOf(service).recover(0);
    const outcomes = await repeated;
    expect(outcomes.map(({ replayed }) => replayed)).toEqual([true, true, true]);
    for (const { jobId } of outcomes) await expectReplay(jobId);
    const { rowCount } = await service.pool.query(`select from jobledger.jobs where queue = 'kept'`);
    expect(rowCount).toBe(3);
  });
});

describe('a log that is away', () => {
  it('leaves nothing that waits until its process is taken for dead: what was given up is finished at once', async () => {
    const with_ = keyed();
    server.stop();
    await expect(create(service, {}, with_)).rejects.toThrow(Unavailable);
    await server.start();
    // A repeated key is refused after 3.5 s, and a process is taken for dead after 10 s.
    const { jobId, replayed } = await create(service, {}, with_);
    expect(replayed).toBe(true);
    await expectReplay(jobId);
  });

  it('at a recovery leaves what that took to the next one', async () => {
    const with_ = keyed();
    server.stop();
    await expect(create(service, {}, with_)).rejects.toThrow(Unavailable);
    const fails = async (): Promise<boolean> => {
      const found = await recoveryOf(service)
        .recover(LONG_MS)
        .catch(() => 'failed' as const);
      return found === 'failed';
    };
    // The process looks by itself, too.
    for (const nth of ['a first', 'a second']) await waitFor(`${nth} recovery that fails`, fails);
    await server.start();
    expect((await create(service, {}, with_)).replayed).toBe(true);
  });

  it('fails commands as unavailable, and serves them when it is back', async () => {
    server.stop();
    await expect(create(service)).rejects.toThrow(Unavailable);
    await server.start();
    const { jobId } = await create(service);
    await expectReplay(jobId);
  });

  it('that dropped calls and lost answers is asked again: each command is there once', async () => {
    const { jobId } = await create(service, { queue: 'dropped' });
    server.answersToLose = 1;
    await execute(service, jobId, 'priority', { priority: 3, reason: null });
    server.dropCalls();
    await execute(service, jobId, 'cancel');
    expect((await service.store.readStream(`job-${jobId}`)).map(({ type }) => type)).toEqual([
      'JobCreated',
      'JobQueued',
      'PriorityChanged',
      'JobCancelled',
    ]);
    await expectReplay(jobId);
  });
});

describe('a reap that is on its way', () => {
  it('fences the lease: no call renews it until the fate of the reap is known', async () => {
    const queue = randomUUID();
    await create(service, { queue });
    const [claimed] = await claim(service, { filter: { queues: [queue] } });
    const { jobId } = claimed!.outcome;
    const token = tokenOf(claimed!);
    const beat = { jobId, ...token, leaseMs: null };
    await service.pool.query('update jobledger.leases set fenced = true where job_id = $1', [jobId]);
    expect(await service.leases.renew([beat])).toEqual([null]);
    const beating = { name: 'heartbeat', token, checkpoint: null, state: null } as const;
    await expect(service.ledger.heartbeat(jobId, beating, call(), null)).rejects.toThrow(LeaseUnsettled);
    await expect(execute(service, jobId, 'progress', { token })).rejects.toThrow(LeaseUnsettled);
    await service.pool.query('update jobledger.leases set fenced = false where job_id = $1', [jobId]);
    expect(await service.leases.renew([beat])).toEqual([expect.objectContaining({ status: 'running' })]);
  });

  it('loses against a call that was accepted since it was judged', async () => {
    const queue = randomUUID();
    await create(service, { queue });
    const [claimed] = await claim(service, { filter: { queues: [queue] }, leaseMs: 100 });
    const { jobId } = claimed!.outcome;
    const lapsed = async () => {
      const lease = (await service.leases.find([jobId])).get(jobId)!;
      return lease.expiresAt! < service.clock.now() && lease;
    };
    const judged = await waitFor('the lease to lapse', lapsed);
    expect(await service.leases.renew([{ jobId, ...tokenOf(claimed!), leaseMs: 60_000 }])).not.toEqual([null]);
    const clocks = {
      leaseExpiresAt: judged.expiresAt,
      lastBeatAt: judged.lastBeatAt,
      lastActivityAt: service.clock.now(),
    };
    const command = { name: 'reap', clocks, lastActivityPosition: null } as const;
    const { revision } = claimed!.outcome;
    const reaping = service.reap(new ReapJob(jobId, 'lease_expired', command, judged.beats, revision));
    await expect(reaping).rejects.toThrow('moved while it was judged');
    expect((await rowOf(jobId))?.job.status).toBe('running');
  });

  it.each(['is appended', 'is not'] as const)(
    'loses against a report that was accepted before it was judged, and %s after it [Z-03]',
    async (fate) => {
      const queue = randomUUID();
      await create(service, { queue });
      const [claimed] = await claim(service, { filter: { queues: [queue] } });
      const { jobId, revision } = claimed!.outcome;
      const other = await another();
      const { hasBegun, thaw } = freezeNextAppend(fate);
      const told = execute(other, jobId, 'progress', { token: tokenOf(claimed!), batchId: 'b' }).catch(
        (error: unknown) => error,
      );
      await waitFor('its append', hasBegun);
      const judgedOn = async () => {
        const { beats } = (await service.leases.find([jobId])).get(jobId)!;
        const clocks = { leaseExpiresAt: 0, lastBeatAt: 0, lastActivityAt: 0 };
        return new ReapJob(
          jobId,
          'lease_expired',
          { name: 'reap', clocks, lastActivityPosition: null },
          beats,
          revision,
        );
      };
      const early = await judgedOn();
      await expect(service.reap(early)).rejects.toThrow('moved while it was judged');
      thaw();
      await told;
      await expect(service.reap(early)).rejects.toThrow('moved while it was judged');
      expect((await service.store.readStream(`job-${jobId}`)).map(({ type }) => type)).not.toContain('LeaseExpired');
      // What was judged since is taken.
      await service.reap(await judgedOn());
      expect((await service.store.readStream(`job-${jobId}`)).map(({ type }) => type)).toContain('LeaseExpired');
    },
  );
});

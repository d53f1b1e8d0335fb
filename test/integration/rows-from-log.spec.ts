/**
 * Rows of jobs beside a log elsewhere, made by a process that follows the log: of its first start on a log that others
 * wrote, and of what an append left behind. Page by page they are what each job's own streams say.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { START, Unavailable, type RecordedEvent } from '../../src/event-store/event-store.js';
import { changesIn } from '../../src/api/streams/changes-in.js';
import { ClientDriver } from '../../src/event-store/eventstoredb/client-driver.js';
import { repairRow } from '../../src/projections/jobs/repair-row.js';
import { rowFollower } from '../../src/projections/jobs/row-follower.js';
import { inTransaction, type ProjectionSchema, type Statement, type Tx } from '../../src/projections/transaction.js';
import { readsOf } from '../../src/reads.js';
import { openService, type Service } from '../../src/service.js';
import { FakeEventStoreDb } from '../support/eventstoredb/fake-server.js';
import { claim, create, execute, options, tokenOf } from '../support/ledger.js';
import { createTestDatabase } from '../support/test-database.js';

let server: FakeEventStoreDb;
/** Who wrote the log. */
let writer: Service;
const closers: (() => Promise<void>)[] = [];

/** One more installation on the log, with rows of its own; nothing in it follows the log unless a test does. */
const open = async (): Promise<Service> => {
  const database = await createTestDatabase();
  const opened = await openService(options(database.url, { eventStoreDbUrl: server.url }));
  closers.push(
    () => database.drop(),
    () => opened.close(),
  );
  return opened;
};

const fact = async (jobId: string, batchId: string): Promise<void> => {
  const stream = `work-${jobId}`;
  const [first] = await writer.store.readStream(stream);
  const { type, version, data, metadata } = first!;
  const events = [{ id: randomUUID(), type, version, data: { ...data, batchId }, metadata }];
  await writer.store.append([{ stream, expected: 'any', events }]);
};

/** A job with facts, one of them twice, and what `end` does to it; its last fact comes too late where that ends it. */
const job = async (end: (jobId: string, token: ReturnType<typeof tokenOf>) => Promise<unknown>): Promise<string> => {
  const queue = randomUUID();
  const { jobId } = await create(writer, { queue, total: 9 });
  const [claimed] = await claim(writer, { filter: { queues: [queue] } });
  const token = tokenOf(claimed!);
  await execute(writer, jobId, 'progress', { token, batchId: 'a', processed: 2 });
  await fact(jobId, 'a');
  await execute(writer, jobId, 'heartbeat', { token, checkpoint: { value: { n: 1 }, digest: 'd' } });
  await fact(jobId, 'b');
  await end(jobId, token);
  await fact(jobId, 'c');
  return jobId;
};

const jobs: string[] = [];
/** The whole log, before any test added to it. */
const log: RecordedEvent[] = [];

beforeAll(async () => {
  server = await FakeEventStoreDb.start();
  writer = await open();
  jobs.push(
    await job((jobId, token) => execute(writer, jobId, 'complete', { token, result: { ok: true } })),
    await job((jobId, token) => execute(writer, jobId, 'release', { token, reason: 'shutdown' })),
    await job(() => Promise.resolve()),
    await job((jobId) => execute(writer, jobId, 'cancel', { force: true, reason: null })),
    (await create(writer, { queue: 'untouched' })).jobId,
  );
  log.push(...(await writer.store.readAll({ after: START, limit: 1_000 })).events);
});
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(async () => {
  for (const close of closers.reverse()) await close();
  server.stop();
});

/** @param hear of each statement, once it is done */
const followerOf = ({ pool, store, rows }: Service, hear: (text: string) => void = () => undefined) => {
  const projection = rowFollower({ pool, store, rows }, Date.now);
  return async (
    events: readonly RecordedEvent[],
    size = events.length,
    schema: ProjectionSchema = 'jobledger',
  ): Promise<void> => {
    for (let first = 0; first < events.length; first += size) {
      const page = events.slice(first, first + size);
      const apply = (tx: Tx): Promise<void> =>
        projection.apply(page, {
          schema,
          query: async <Row extends object>(statement: Statement) => {
            const found = await tx.query<Row>(statement);
            hear(statement.text);
            return found;
          },
        });
      await inTransaction(pool, apply, schema);
    }
  };
};

/** Reads of streams, without the looks at a single event by which each process watches that its log is the same. */
const historiesOf = ({ mock }: { readonly mock: { readonly calls: Parameters<ClientDriver['readStream']>[] } }) =>
  mock.calls.filter(([, { limit }]) => limit !== 1);

const tableOf = async ({ pool }: Service, columns: string, table: string): Promise<readonly object[]> =>
  (await pool.query<object>(`select ${columns} from jobledger.${table} order by 1, 2, 3, 4`)).rows;
const ROW = `id, revision, position, coalesce(work_revision, -1) as work, status, leased, priority, doc::text, payload::text, result::text,
  checkpoint::text, progress::text, saved_progress::text, last_event_at, last_activity_at, last_activity_position, ready_at`;
const rowsOf = (service: Service) => tableOf(service, ROW, 'jobs');
const factsOf = (service: Service) => tableOf(service, 'job_id, run, attempt, batch_id', 'job_facts');
const lateOf = async ({ pool }: Service): Promise<readonly object[]> =>
  (await pool.query<object>('select job_id, revision from jobledger.late_facts order by 1, 2')).rows;

/** What each job's streams say, one by one. */
const replayed = async (): Promise<Service> => {
  const service = await open();
  for (const jobId of jobs) await repairRow(service.store, service.rows, jobId);
  return service;
};

describe('rows of a log that is followed from its start', () => {
  it.each([1, 3, 7, 1_000])('are what its jobs say, in pages of %d', async (size) => {
    const [fresh, said] = [await open(), await replayed()];
    const read = jest.spyOn(ClientDriver.prototype, 'readStream');
    await followerOf(fresh)(log, size);
    // Nobody but this process wrote the rows, so nothing is asked for.
    expect(historiesOf(read)).toEqual([]);
    expect(await rowsOf(fresh)).toEqual(await rowsOf(said));
    expect(await lateOf(fresh)).toEqual(await lateOf(said));
    expect((await lateOf(fresh)).length).toBe(3);
    const factsPerJob = (await factsOf(fresh)).map((row) => (row as { batch_id: string }).batch_id);
    expect(factsPerJob.sort()).toEqual(['a', 'a', 'a', 'a', 'b', 'b', 'b', 'b', 'c']);
  });

  it('are read in the log for a stream of changes only where they do not know of them yet', async () => {
    const fresh = await open();
    const half = log.slice(0, 23);
    await followerOf(fresh)(half);
    const { jobs: queries } = readsOf({
      ...fresh,
      place: 'elsewhere',
      tailFailed: () => undefined,
      saw: () => undefined,
    });
    const read = jest.spyOn(ClientDriver.prototype, 'readStream');
    const known = await queries.among(changesIn(half), {});
    expect(known.map(({ job: { id } }) => id).sort()).toEqual([...changesIn(half).keys()].sort());
    expect(historiesOf(read)).toEqual([]);
    const all = await queries.among(changesIn(log), {});
    expect(new Map(all.map(({ job, position }) => [job.id, position]))).toEqual(changesIn(log));
    expect(historiesOf(read)).not.toEqual([]);
  });

  it('are so also when half of it was followed by a process that is gone, and pages come twice', async () => {
    const [fresh, said] = [await open(), await replayed()];
    await followerOf(fresh)(log.slice(0, 23), 5);
    await followerOf(fresh)(log.slice(15), 6);
    await followerOf(fresh)(log, 4);
    expect(await rowsOf(fresh)).toEqual(await rowsOf(said));
    expect(await lateOf(fresh)).toEqual(await lateOf(said));
  });
});

describe('a row that is not what was left', () => {
  it.each([
    ['is gone, and its facts are not', 'delete from jobledger.jobs'],
    ['is an older one', 'delete from jobledger.jobs; insert into jobledger.jobs select * from old'],
    ['was edited', `update jobledger.jobs set doc = jsonb_set(doc::jsonb, '{run}', '7')::json`],
  ])('%s, is read from its streams', async (_, damage) => {
    const [fresh, said] = [await open(), await replayed()];
    const follow = followerOf(fresh);
    await follow(log.slice(0, 12), 5);
    await fresh.pool.query('create table old as table jobledger.jobs');
    await follow(log.slice(12, 23), 5);
    await fresh.pool.query(damage);
    await follow(log.slice(23), 5);
    const moved = new Set(log.slice(23).map(({ stream }) => stream.slice(stream.indexOf('-') + 1)));
    const ofMoved = async (service: Service) =>
      (await rowsOf(service)).filter((row) => moved.has((row as { id: string }).id));
    expect(await ofMoved(fresh)).toEqual(await ofMoved(said));
  });

  it('is made of its events from the first on when all is made anew, whatever it says', async () => {
    const [fresh, said] = [await open(), await replayed()];
    await followerOf(fresh)(log);
    await fresh.pool.query(
      `update jobledger.jobs set priority = 77, doc = jsonb_set(doc::jsonb, '{priority}', '77')::json`,
    );
    await followerOf(fresh)(log, 11, 'jobledger_building');
    expect(await rowsOf(fresh)).toEqual(await rowsOf(said));
  });
});

describe('a row that another session holds', () => {
  it('is waited for with no other row in hand, and written then', async () => {
    const [fresh, said] = [await open(), await replayed()];
    let lookAgain = (): void => undefined;
    const looksAgain = new Promise<void>((resolve) => (lookAgain = resolve));
    const follow = followerOf(fresh, (text) => {
      if (text.startsWith('rollback to savepoint')) lookAgain();
    });
    await follow(log.slice(0, 20));
    const holder = await fresh.pool.connect();
    await holder.query('begin');
    const held = await holder.query<{ id: string }>(
      'select id from jobledger.jobs order by id desc limit 1 for update',
    );
    const following = follow(log.slice(20));
    await looksAgain;
    const free = `select id from jobledger.jobs where id <> $1 for update nowait`;
    expect((await fresh.pool.query(free, [held.rows[0]!.id])).rowCount).toBeGreaterThan(0);
    await holder.query('rollback');
    holder.release();
    await following;
    expect(await rowsOf(fresh)).toEqual(await rowsOf(said));
  });

  it('for ever leaves the page for later, and no event of it is to blame', async () => {
    const fresh = await open();
    const follow = followerOf(fresh);
    await follow(log.slice(0, 20));
    const holder = await fresh.pool.connect();
    await holder.query('begin');
    await holder.query('select from jobledger.jobs for update');
    await expect(follow(log.slice(20))).rejects.toThrow(Unavailable);
    await holder.query('rollback');
    holder.release();
  });
});

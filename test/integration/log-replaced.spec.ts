/**
 * A running service whose database comes back without its last commits, as a backup or a replica that was behind has it:
 * it answers by what the log says, never by what it remembers, and tells whoever follows.
 */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import pg from 'pg';
import { startApp, type TestApp } from '../support/app.js';
import { waitFor } from '../support/e2e/wait.js';
import { LedgerCaller, LONG_LEASE, newQueue } from '../support/ledger-caller.js';
import { SseReader } from '../support/sse-reader.js';

const apps: TestApp[] = [];
let ledger: LedgerCaller;
let other: LedgerCaller;
let owner: pg.Client;

beforeAll(async () => {
  const first = await startApp();
  apps.push(first, await startApp({ databaseUrl: first.databaseUrl }));
  ledger = new LedgerCaller(first.url);
  other = new LedgerCaller(apps[1]!.url);
  owner = new pg.Client({ connectionString: first.databaseUrl });
  await owner.connect();
});
afterAll(async () => {
  await owner.end();
  for (const app of apps.reverse()) await app.close();
});

const tables = async (): Promise<readonly string[]> => {
  const { rows } = await owner.query<{ name: string }>(
    `select c.relname as name from pg_class c
      where c.relnamespace = 'jobledger'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition`,
  );
  return rows.map(({ name }) => name);
};

/** @returns what puts the database back to what it is now */
const copy = async (): Promise<() => Promise<void>> => {
  const names = await tables();
  const { rows } = await owner.query<{ name: string }>(
    `select tgrelid::regclass::text as name from pg_trigger where tgname = 'append_only'`,
  );
  for (const { name } of rows) await owner.query(`alter table ${name} disable trigger append_only`);
  await owner.query('create schema kept');
  for (const name of names) await owner.query(`create table kept.${name} as table jobledger.${name}`);
  return async () => {
    await owner.query(`begin; set local session_replication_role = replica`);
    for (const name of names) {
      await owner.query(
        `delete from jobledger.${name}; insert into jobledger.${name} overriding system value table kept.${name}`,
      );
    }
    await owner.query('commit');
    await owner.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
    );
  };
};

/** Answered as the log is: the first that hears of a job which the log lacks is told to repeat. */
const settled = (call: () => ReturnType<LedgerCaller['post']>) =>
  waitFor('an answer', async () => {
    const answer = await call();
    return answer.status !== 503 && answer;
  });

it('is seen: what was done since is done again, what never was is unknown, and open streams end', async () => {
  const queue = newQueue();
  const held = await ledger.hold({}, LONG_LEASE);
  const waiting = await ledger.create({ queue });
  const restore = await copy();

  await ledger.must(held, 'complete', { result: 1 });
  await ledger.command(waiting.jobId, 'cancel');
  const gone = await ledger.create({ queue });
  const streams = await Promise.all(apps.map(({ url }) => SseReader.open(`${url}/v1/streams/events?after=0`)));
  for (const stream of streams) await stream.until((frames) => frames.some(({ data }) => data.jobId === gone.jobId));

  await restore();
  const completed = await settled(() => ledger.worker(held, 'complete', { result: 2 }));
  expect(completed.body).toMatchObject({ status: 'completed', events: ['JobCompleted'] });
  expect((await settled(() => ledger.post(`/v1/jobs/${waiting.jobId}/priority`, { priority: 3 }))).status).toBe(200);
  expect((await settled(() => ledger.post(`/v1/jobs/${gone.jobId}/cancel`, {}))).status).toBe(404);
  const claimed = await waitFor('the job to be given out', async () => {
    const [one] = await other.claims('w', { queues: [queue] });
    return one;
  });
  expect(claimed.job.id).toBe(waiting.jobId);
  for (const stream of streams) await stream.end();
});

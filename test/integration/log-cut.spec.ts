/**
 * A log that lost its end while the tables beside it kept theirs, as somebody who deletes events by hand has it: rows and
 * answers that know of what is gone are believed by nobody.
 */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import pg from 'pg';
import { startApp, type TestApp } from '../support/app.js';
import { waitFor } from '../support/e2e/wait.js';
import { LedgerCaller, newQueue } from '../support/ledger-caller.js';

let app: TestApp;
let ledger: LedgerCaller;
let owner: pg.Client;
beforeAll(async () => {
  app = await startApp();
  ledger = new LedgerCaller(app.url);
  owner = new pg.Client({ connectionString: app.databaseUrl });
  await owner.connect();
});
afterAll(async () => {
  await owner.end();
  await app.close();
});

/** Deletes all events behind a position. */
const cut = async (position: string): Promise<void> => {
  const { rows } = await owner.query<{ name: string }>(
    `select tgrelid::regclass::text as name from pg_trigger where tgname = 'append_only'`,
  );
  await owner.query('begin');
  for (const { name } of rows) await owner.query(`alter table ${name} disable trigger append_only`);
  await owner.query('delete from jobledger.events where position > $1', [position]);
  await owner.query('delete from jobledger.batches where first_position > $1', [position]);
  await owner.query('commit');
};

/** A second row, with another id, that no log ever had: the first of its queue. */
const phantom = async (queue: string): Promise<string> => {
  const { rows } = await owner.query<{ id: string }>(
    `insert into jobledger.jobs select made.* from jobledger.jobs j, jsonb_populate_record(j, jsonb_build_object(
        'id', gen_random_uuid(), 'priority', 1000)) made
      where j.queue = $1 limit 1 returning id`,
    [queue],
  );
  return rows[0]!.id;
};

it('a row that the log does not have is nowhere, and keeps nobody from the jobs behind it', async () => {
  const queue = newQueue();
  const { jobId } = await ledger.create({ queue });
  const listed = await phantom(queue);
  expect((await ledger.jobs(`queue=${queue}`)).map(({ id }) => id)).toEqual([jobId]);
  const read = await phantom(queue);
  expect((await ledger.get(`/v1/jobs/${read}`)).status).toBe(404);
  const commanded = await phantom(queue);
  expect((await ledger.post(`/v1/jobs/${commanded}/cancel`)).status).toBe(404);
  const claimed = [await phantom(queue), await phantom(queue)];
  expect((await ledger.next(queue)).job.id).toBe(jobId);
  const { rowCount } = await owner.query('select from jobledger.jobs where id = any ($1::uuid[])', [
    [listed, read, commanded, ...claimed],
  ]);
  // A command is refused on the word of the log, and leaves the row for who meets it next.
  expect(rowCount).toBeLessThanOrEqual(1);
});

it('an answer whose events are gone is given to nobody, nor another job in its place', async () => {
  const queue = newQueue();
  const { position } = await ledger.create({ queue });
  const keyed = { headers: { 'idempotency-key': queue } };
  const create = () => ledger.post('/v1/jobs', { type: 'report', queue }, keyed);
  const first = await create();
  expect(first.status).toBe(201);
  await cut(position);
  await waitFor('the loss to be met', async () => (await ledger.get(`/v1/jobs/${first.body.jobId}`)).status === 404);
  const lost = await create();
  expect([lost.status, lost.headers.get('retry-after') !== null, lost.body.detail]).toEqual([
    503,
    true,
    expect.stringMatching(/the log lacks what the first call of this key appended/),
  ]);
  // Others come to stand where its events were.
  for (let n = 0; n < 3; n += 1) await ledger.create({ queue: newQueue() });
  const again = await create();
  expect([again.status, again.body.jobId]).toEqual([503, undefined]);
  expect((await ledger.post('/v1/jobs', { type: 'report', queue })).status).toBe(201);
});

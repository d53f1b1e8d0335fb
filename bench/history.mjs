/** The history of a job of 1,000 events over HTTP, and what the job was once; beside the same rows by plain SQL. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { alternate, elapsed, isOwn, vacuum, withServer } from './measure.mjs';
import { Report } from './report.mjs';
import { startService } from './service-process.mjs';

const EVENTS = isOwn ? 50 : 1_000;
const PAGE = 200;
/** Of one round; the mean of them is its value. */
const REPEATS = isOwn ? 2 : 20;
const WARM_UP = isOwn ? 1 : 50;

const mean = async (work) => {
  let sum = 0;
  for (let n = 0; n < REPEATS; n += 1) sum += await elapsed(work);
  return sum / REPEATS;
};

/** A job with as many events; @returns its id */
const makeJob = async (service) => {
  const { jobId } = await service.post('/v1/jobs', { type: 'bench', queue: 'bench', payload: { pages: 1_000 } });
  const { jobs } = await service.post('/v1/claims', { workerId: 'w', queues: ['bench'] });
  // Created, queued, claimed and started so far.
  for (let n = 4; n < EVENTS; n += 1) {
    await service.post(`/v1/jobs/${jobId}/progress`, {
      ...{ leaseToken: jobs[0].leaseToken, batchId: randomUUID(), processed: 1, message: `page ${n}` },
    });
  }
  return jobId;
};

const overHttp = async (service, jobId) => {
  let events = 0;
  let cursor = '';
  do {
    const page = JSON.parse(await service.get(`/v1/jobs/${jobId}/events?order=asc&limit=${PAGE}${cursor}`));
    events += page.items.length;
    cursor = page.nextCursor === null ? null : `&cursor=${encodeURIComponent(page.nextCursor)}`;
  } while (cursor !== null);
  if (events !== EVENTS) throw new Error(`the history has ${events} events, not ${EVENTS}`);
};

const COLUMNS = 'position, stream, revision, id, type, version, at, data, metadata';

/** @param limit rows of one statement */
const bySql = async (client, jobId, limit) => {
  const streams = [`job-${jobId}`, `work-${jobId}`, `refusals-${jobId}`];
  let events = 0;
  let after = '0';
  for (;;) {
    const { rows } = await client.query({
      name: 'history',
      text: `select ${COLUMNS} from jobledger.events where stream = any ($1) and position > $2 order by position limit $3`,
      values: [streams, after, limit],
    });
    for (const row of rows) {
      JSON.parse(row.data);
      JSON.parse(row.metadata);
    }
    events += rows.length;
    if (rows.length < limit) break;
    after = rows.at(-1).position;
  }
  if (events !== EVENTS) throw new Error(`there are ${events} rows, not ${EVENTS}`);
};

await withServer(async (url) => {
  const service = await startService(url);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const jobId = await makeJob(service);
  await vacuum(url);
  const last = JSON.parse(await service.get(`/v1/jobs/${jobId}/events?order=desc&limit=1`)).items[0].position;
  const report = new Report(`history: a job of ${EVENTS} events`, [
    `pages of ${PAGE}, answers parsed; over HTTP from another process, and by statements from this one`,
  ]);
  const whole = () => overHttp(service, jobId);
  const pages = () => bySql(client, jobId, PAGE);
  const past = async () => {
    const job = JSON.parse(await service.get(`/v1/jobs/${jobId}?asOf=${last}`));
    if (job.progress.processed !== EVENTS - 4) throw new Error(`as of ${last} it is ${JSON.stringify(job.progress)}`);
  };
  const atOnce = () => bySql(client, jobId, EVENTS + 1);
  for (let n = 0; n < WARM_UP; n += 1) for (const work of [whole, pages, past, atOnce]) await work();
  const goals = { 'plain SQL': 0.67 };
  report.row({
    ...{ label: `GET /v1/jobs/{id}/events, ${EVENTS} events`, unit: 'ms', better: 'lower', goals },
    limit: '≤ 1.5× the time of plain SQL',
    values: await alternate({ jobledger: () => mean(whole), 'plain SQL': () => mean(pages) }),
  });
  report.row({
    ...{ label: `GET /v1/jobs/{id}?asOf, ${EVENTS} events replayed`, unit: 'ms', better: 'lower', goals },
    limit: '≤ 1.5× the time of plain SQL',
    values: await alternate({ jobledger: () => mean(past), 'plain SQL': () => mean(atOnce) }),
  });
  report.end();
  await client.end();
  await service.close();
});

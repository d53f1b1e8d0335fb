/** One sweep: 1,000 jobs due among 1,000,000 running ones, and none due; beside the same query without the index. */
import { alternate, elapsed, rounds, vacuum, volume, withServer } from './measure.mjs';
import { openOwn } from './own.mjs';
import { median, Report } from './report.mjs';

const RUNNING = volume({ own: 2_000, short: 1_000_000, full: 1_000_000 });
const DUE = volume({ own: 50, short: 1_000, full: 1_000 });
const CALL = 1_000;
const PAGE = 500;
const REPEATS = 20;
const QUEUE = 'due';

/** The search by hand, as `PostgresLeases.due` does it. */
const SEARCH = `select job_id, run, attempt, worker_id, beats, directive,
    (extract(epoch from expires_at) * 1000)::bigint, (extract(epoch from last_beat_at) * 1000)::bigint,
    (extract(epoch from deadline_at) * 1000)::bigint
  from jobledger.leases
  where deadline_at <= to_timestamp($1::bigint / 1000.0) and (deadline_at, job_id) > ($2::timestamptz, $3::uuid)
  order by deadline_at, job_id limit ${PAGE}`;

const NO_INDEX = ['enable_indexscan', 'enable_indexonlyscan', 'enable_bitmapscan'];

/** Leases of running jobs with their deadlines in an hour, written in one statement; the due ones are real jobs. */
const fill = (pool, count) =>
  pool.query({
    text: `insert into jobledger.leases (job_id, run, attempt, worker_id, lease_ms, expires_at, last_beat_at, beats, deadline_at)
      select gen_random_uuid(), 1, 1, 'w', 60000, now() + interval '2 hours', now(), n::bigint * 1000000,
        now() + interval '1 hour' + n * interval '1 ms'
      from generate_series(1, $1::int) n`,
    values: [count],
    query_timeout: 300_000,
  });

/** Jobs that were claimed, and whose workers have said nothing for longer than their leases. */
const makeDue = async (own) => {
  for (let left = DUE; left > 0; left -= CALL) await own.create(Math.min(left, CALL), QUEUE);
  const ids = [];
  while (ids.length < DUE) {
    const claimed = await own.claim(Math.min(DUE - ids.length, CALL), { queue: QUEUE });
    if (claimed.length === 0) throw new Error('there is nothing to claim');
    ids.push(...claimed.map(({ jobId }) => jobId));
  }
  await own.service.pool.query(
    `update jobledger.leases set
        deadline_at = date_trunc('milliseconds', now()) - interval '1 s',
        expires_at = date_trunc('milliseconds', now()) - interval '1 s'
      where job_id = any ($1)`,
    [ids],
  );
};

const findDue = async ({ service }) => {
  const upTo = service.clock.now();
  let cursor = null;
  let found = 0;
  for (;;) {
    const page = await service.leases.due(upTo, cursor, PAGE);
    found += page.length;
    if (page.length < PAGE) return found;
    cursor = { deadlineAt: page.at(-1).deadlineAt, jobId: page.at(-1).jobId };
  }
};

const scanDue = async ({ service }) => {
  const client = await service.pool.connect();
  try {
    await client.query(
      `begin; set local enable_seqscan = on; ${NO_INDEX.map((name) => `set local ${name} = off`).join('; ')}`,
    );
    const upTo = service.clock.now();
    let [at, id] = ['epoch', '00000000-0000-0000-0000-000000000000'];
    let found = 0;
    for (;;) {
      const { rows } = await client.query({ text: SEARCH, values: [upTo, at, id] });
      found += rows.length;
      if (rows.length < PAGE) return found;
      const last = rows.at(-1);
      [at, id] = [new Date(Number(Object.values(last).at(-1))), last.job_id];
    }
  } finally {
    await client.query('commit');
    client.release();
  }
};

const timed = async (expected, find) => {
  let found;
  const ms = await elapsed(async () => {
    found = await find();
  });
  if (found !== expected) throw new Error(`${found} are due, not ${expected}`);
  return ms;
};

await withServer(async (url) => {
  const own = await openOwn(url, { duties: false });
  const { pool, reaper } = own.service;
  const idle = await pool.connect();
  await idle.query('set statement_timeout = 0');
  await fill(idle, RUNNING);
  idle.release(true);
  await vacuum(url);
  const report = new Report(`reaper: ${DUE} jobs due among ${RUNNING} running`, [
    'the running ones are rows of leases, written in one statement; the due ones are jobs that were created and claimed',
  ]);
  const several = async (find) => {
    const times = [];
    for (let n = 0; n < REPEATS; n += 1) times.push(await timed(0, find));
    return median(times);
  };
  report.row({
    ...{ label: 'search, none due', unit: 'ms', better: 'lower', limit: '< 5 ms' },
    values: await alternate({
      jobledger: () => several(() => findDue(own)),
      'without the index': () => timed(0, () => scanDue(own)),
    }),
  });
  const sweeps = [];
  const searches = await alternate({
    jobledger: async () => {
      await makeDue(own);
      return timed(DUE, () => findDue(own));
    },
    'without the index': async () => {
      const ms = await timed(DUE, () => scanDue(own));
      const sweep = await reaper.sweep();
      if (sweep.requeued + sweep.reaped !== DUE)
        throw new Error(`the sweep did ${JSON.stringify({ ...sweep, jobs: [] })}`);
      sweeps.push(sweep.durationMs);
      return ms;
    },
  });
  report.row({ label: `search, ${DUE} due`, unit: 'ms', better: 'lower', limit: '< 50 ms', values: searches });
  report.row({
    ...{ label: `sweep: ${DUE} found, judged, and requeued through the log`, unit: 'ms', better: 'lower' },
    values: { jobledger: sweeps.slice(-rounds) },
  });
  report.end();
  await own.close();
});

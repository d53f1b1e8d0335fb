/** Every bench: what it measures, and how long it may take before it is cut. */
export const BENCHES = {
  lifecycle: {
    about: 'create → claim → complete, one command a call, each with a key, in process; beside pg-boss',
    held: true,
  },
  'lifecycle-http': { about: 'the same over HTTP, keep-alive; beside pg-boss in process' },
  bulk: { about: '1,000 jobs a call; beside pg-boss, graphile-worker, BullMQ' },
  append: { about: 'events of 300 bytes on 100 streams; beside a raw COPY and Emmett', held: true },
  replay: { about: 'a rebuild of the projection jobs beside a bare read; a verification of the log' },
  history: { about: 'the history of a job of 1,000 events, and what it was once; beside plain SQL' },
  reaper: { about: '1,000 jobs due among 1,000,000 running, and none due; beside a search without the index' },
  heartbeats: { about: 'renewals of 10,000 leases; beside pgbench' },
  reports: {
    about: 'progress of one job by 1, 8 and 50 writers; beside a counter in a row and a document under a lock',
  },
  fanout: { about: '200 and 1,000 readers of the log over SSE; beside a bare node:http server' },
  scale: { about: 'the same work on logs of 10k and 100k jobs; with --full of 1M too' },
};

/** A run of `all`: each bench with its flags, the ones that matter most first. */
export const runsOfAll = (isFull) =>
  Object.entries(BENCHES).flatMap(([name, { held = false }]) => [
    { name, flags: [] },
    ...(held && isFull ? [{ name, flags: ['--held'] }] : []),
  ]);

const MINUTE_MS = 60_000;

/** Longer than this hangs. */
export const limitMs = (isFull) => (isFull ? 60 : 8) * MINUTE_MS;

export const HELP = `npm run bench [-- <name> … | all] [options]

Measures against baselines in the same run, interleaved, and prints medians, ranges and ratios. Without a name: every
bench, one after the other. It fails when something could not be measured, not when a ratio falls short.

${Object.entries(BENCHES)
  .map(([name, { about }]) => `  ${name.padEnd(16)} ${about}`)
  .join('\n')}

  all               every bench, then docs/performance.md, .json, .svg and the table of README; one that fails takes no other with it

  --rounds=N        of each side (5)
  --seconds=N       of a side in a round (3; all: 2)
  --lanes=A,B       in flight (1,8,32,256)
  --full            larger volumes (replay, scale), and with all the runs under a held snapshot; takes hours
  --held            append and lifecycle: under a repeatable read snapshot that is held open
  --hold=SECONDS    how old it is when the rounds begin (120)
  --resume          all: goes on with the benches that the last run has no result of
  --own             our side alone, one short round, no peers

bulk needs a redis-server for BullMQ (Debian: apt-get install redis-server; REDIS_SERVER says where it is), heartbeats
takes pgbench where it is there (PGBENCH says where it is).`;

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
export const limitMs = (isFull) => (isFull ? 60 : 6) * MINUTE_MS;

/** graphile-worker, set up as its own page on performance does. A job is gone once it has run. */
import pg from 'pg';
import { versionOf } from './version.mjs';

const CONCURRENT_JOBS = 24;
const LOOK_MS = 1;

const silent = () => () => undefined;

/** How many jobs are left: a completion is sent in batches, after the task has run. */
const LEFT = 'select exists (select from graphile_worker._private_jobs) as left';

export const openGraphile = async (databaseUrl) => {
  const { Logger, makeWorkerUtils, run } = await import('graphile-worker');
  let ran = 0;
  const waiting = new Set();
  const runner = await run({
    preset: {
      worker: {
        ...{ connectionString: databaseUrl, concurrentJobs: CONCURRENT_JOBS, maxPoolSize: CONCURRENT_JOBS + 1 },
        ...{ localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 },
        logger: new Logger(silent),
      },
    },
    noHandleSignals: true,
    taskList: {
      bench: () => {
        ran += 1;
        for (const each of [...waiting]) {
          if (ran < each.until) continue;
          waiting.delete(each);
          each.resolve();
        }
      },
    },
  });
  const utils = await makeWorkerUtils({ connectionString: databaseUrl });
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  let added = 0;
  const name = `graphile-worker ${versionOf('graphile-worker')}`;
  return {
    name,
    settings: `${name}: concurrentJobs 24, maxPoolSize 25, localQueue 500, completion in batches; it deletes what has run`,
    /** @returns how many */
    bulk: async (count) => {
      added += count;
      const done = new Promise((resolve) => waiting.add({ until: added, resolve }));
      await utils.addJobs(
        Array.from({ length: count }, () => ({
          identifier: 'bench',
          payload: { url: 'https://example.org/things/1', size: 12345 },
        })),
      );
      await done;
      if (waiting.size > 0) return count;
      // Nobody waits behind it: the last completions have to be there too.
      while (ran === added && (await client.query(LEFT)).rows[0].left) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
      return count;
    },
    close: async () => {
      await client.end();
      await utils.release();
      await runner.stop();
    },
  };
};

/** BullMQ on a Redis of its own that syncs every write, as PostgreSQL does: `addBulk`, a worker, jobs removed when done. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { versionOf } from './version.mjs';

const CONCURRENCY = 100;

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** @throws when there is no Redis here, saying how to get one */
const startRedis = async () => {
  const program = process.env.REDIS_SERVER ?? 'redis-server';
  const folder = mkdtempSync(join(tmpdir(), 'jobledger-bench-redis-'));
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''];
  const durable = ['--appendonly', 'yes', '--appendfsync', 'always'];
  const child = spawn(program, [...args, ...durable], { stdio: ['ignore', 'pipe', 'ignore'] });
  // It outlives a bench that fails otherwise.
  process.once('exit', () => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  const stop = () =>
    new Promise((resolve) => {
      child.once('exit', () => {
        rmSync(folder, { recursive: true, force: true });
        resolve();
      });
      child.kill('SIGTERM');
    });
  try {
    await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`it ended with ${code}`)));
      child.stdout.on('data', (chunk) => String(chunk).includes('Ready to accept connections') && resolve());
    });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw new Error(
      `there is no Redis (${error.message}). On Debian: apt-get install redis-server; or say where it is: REDIS_SERVER=/path/to/redis-server`,
    );
  }
  return { port, stop };
};

export const openBullMq = async () => {
  const redis = await startRedis();
  const { Queue, Worker } = await import('bullmq');
  const connection = { host: '127.0.0.1', port: redis.port, maxRetriesPerRequest: null };
  const queue = new Queue('bench', { connection, defaultJobOptions: { removeOnComplete: true } });
  const worker = new Worker('bench', () => Promise.resolve({ ok: true }), { connection, concurrency: CONCURRENCY });
  await worker.waitUntilReady();
  let completed = 0;
  let added = 0;
  const waiting = new Set();
  worker.on('completed', () => {
    completed += 1;
    for (const each of [...waiting]) {
      if (completed < each.until) continue;
      waiting.delete(each);
      each.resolve();
    }
  });
  const name = `BullMQ ${versionOf('bullmq')}`;
  return {
    name,
    settings: `${name}: Redis with appendfsync always, concurrency ${CONCURRENCY}, removeOnComplete`,
    /** @returns how many */
    bulk: async (count) => {
      added += count;
      const done = new Promise((resolve) => waiting.add({ until: added, resolve }));
      await queue.addBulk(
        Array.from({ length: count }, () => ({
          name: 'bench',
          data: { url: 'https://example.org/things/1', size: 12345 },
        })),
      );
      await done;
      return count;
    },
    close: async () => {
      await worker.close();
      await queue.close();
      await redis.stop();
    },
  };
};

/** Connections that break and a server that crashes, while some write and one follows. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { AppendRequest, AppendResult, EventStore, RecordedEvent } from '../../src/event-store/event-store.js';
import { START, Unavailable } from '../../src/event-store/event-store.js';
import { startEmbeddedPostgres } from '../../src/event-store/postgres/embedded/embedded-postgres.js';
import { createLogPool } from '../../src/event-store/postgres/connection.js';
import { PostgresEventStore } from '../../src/event-store/postgres/postgres-event-store.js';
import { newEvent, PostgresLog, request } from '../support/postgres-log.js';

const ROUNDS = 40;

/** As a caller has to: repeats an append of unknown outcome with the same event ids. */
const appendUntilKnown = async (store: EventStore, requests: AppendRequest[]): Promise<readonly AppendResult[]> => {
  for (;;) {
    try {
      return await store.append(requests);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
    }
  }
};

/**
 * Three writers append with exact revisions, a reader follows, and `disturb` runs when the writers have reached each
 * of its turns. Afterwards every event stands in the log once and the reader has seen each once and in order.
 */
const survive = async (log: PostgresLog, disturbances: number, disturb: () => Promise<void>): Promise<void> => {
  const stores: PostgresEventStore[] = [log.store(), log.store(), log.store({ pollMs: 50 })];
  const written: string[] = [];
  let rounds = 0;
  let turns = 0;
  const write = async (n: number) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const event = newEvent();
      const expected = round === 0 ? 'noStream' : round - 1;
      const [result] = await appendUntilKnown(stores[n]!, [request(`job-${n}`, expected, [event])]);
      expect(result).toMatchObject({ ok: true, revision: round });
      written.push(event.id);
      rounds += 1;
      if (turns < disturbances && rounds >= ((turns + 1) * 3 * ROUNDS) / (disturbances + 1)) {
        turns += 1;
        await disturb();
      }
    }
  };
  const stop = new AbortController();
  const seen: RecordedEvent[] = [];
  const follow = async () => {
    for await (const item of stores[2]!.subscribe({ after: START, signal: stop.signal })) {
      if ('caughtUp' in item) continue;
      seen.push(...item);
      if (seen.length >= 3 * ROUNDS) stop.abort();
    }
  };
  await Promise.all([follow(), write(0), write(1), write(2)]);
  expect(turns).toBe(disturbances);
  expect(seen.map(({ position }) => Number(position))).toEqual(Array.from({ length: 3 * ROUNDS }, (_, n) => n + 1));
  expect(seen.map(({ id }) => id).sort()).toEqual([...written].sort());
  expect(await stores[0]!.verify()).toMatchObject({ ok: true, position: String(3 * ROUNDS) });
};

describe('the log in PostgreSQL, disturbed', () => {
  const logs: PostgresLog[] = [];
  const open = (log: PostgresLog): PostgresLog => {
    logs.push(log);
    return log;
  };
  afterEach(async () => {
    for (const log of logs.splice(0)) await log.close();
  });

  it('keeps every event once when all its connections are cut again and again', async () => {
    const log = open(await PostgresLog.create());
    const admin = await log.session();
    await survive(log, 8, async () => {
      await admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`,
      );
    });
  });

  it('keeps every event once when the server crashes', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), `jobledger-jest-${process.pid}-outage-`));
    const silent = { info: () => undefined, warn: () => undefined };
    const server = await startEmbeddedPostgres({ dataDir, log: silent });
    const log = open(
      await PostgresLog.at(server.url, async () => {
        await server.stop();
        await rm(dataDir, { recursive: true, force: true });
      }),
    );
    await survive(log, 2, () => {
      process.kill(server.pid, 'SIGQUIT');
      return Promise.resolve();
    });
  });

  it('wakes a reader whose notifications are lost', async () => {
    const log = open(await PostgresLog.create());
    const admin = await log.session();
    const [reader, writer] = [log.store({ pollMs: 20 }), log.store()];
    const stop = new AbortController();
    let count = 0;
    for await (const item of reader.subscribe({ after: START, signal: stop.signal })) {
      if ('caughtUp' in item) {
        await admin.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query = 'listen jobledger'`,
        );
        await writer.append([request('job-1')]);
        continue;
      }
      count += item.length;
      if (count === 5) stop.abort();
    }
    expect(count).toBe(5);
  });

  it('wakes listeners once when the connection for notifications is back', async () => {
    const log = open(await PostgresLog.create());
    const admin = await log.session();
    const store = log.store();
    const heard = async (act: () => Promise<unknown>) => {
      let stop: () => void = () => undefined;
      await new Promise<void>((resolve, reject) => {
        stop = store.onAppended(resolve);
        act().catch(reject);
      });
      stop();
    };
    await heard(() => Promise.resolve());
    await heard(() =>
      admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query = 'listen jobledger'`,
      ),
    );
    const { rows } = await admin.query(
      `select 1 from pg_stat_activity where datname = current_database() and query = 'listen jobledger'`,
    );
    expect(rows).toHaveLength(1);
  });

  it('takes a pool of somebody else and leaves it open', async () => {
    const log = open(await PostgresLog.create());
    const pool = createLogPool({ connectionString: log.url, poolSize: 2 });
    const store = new PostgresEventStore({ pool });
    await store.append([request('job-1')]);
    await store.close();
    const { rows } = await pool.query<{ jit: string }>('show jit');
    expect(rows).toEqual([{ jit: 'off' }]);
    await pool.end();
  });
});

/** The process as an operator sees it: its one line, its refusals to start, its stop. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { MIGRATION_LOCK } from '../../src/event-store/postgres/migrate.js';
import { buildService, mainFile } from '../support/e2e/build.js';
import { waitFor } from '../support/e2e/wait.js';
import { openDatabaseProxy } from '../support/database-proxy.js';
import { FakeEventStoreDb } from '../support/eventstoredb/fake-server.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';
import { Caller } from '../support/app.js';
import { SseReader } from '../support/sse-reader.js';

/** Undefined: not set. */
type Settings = Readonly<Record<string, string | undefined>>;

class Process {
  stdout = '';
  stderr = '';
  readonly ended: Promise<number | null>;
  private readonly child: ChildProcessByStdio<null, Readable, Readable>;

  constructor(settings: Settings) {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('JOBLEDGER_'));
    this.child = spawn(process.execPath, [mainFile], {
      env: { ...Object.fromEntries(inherited), JOBLEDGER_PORT: '0', ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.ended = once(this.child, 'close').then(([code]) => code as number | null);
  }

  /** The address that it prints. */
  async url(): Promise<string> {
    while (!this.stdout.includes('\n')) {
      const more = await Promise.race([once(this.child.stdout, 'data'), this.ended]);
      if (!Array.isArray(more)) throw new Error(`it ended with ${more}: ${this.stderr}`);
    }
    const [url] = /http:\S+/.exec(this.stdout) ?? [];
    if (url === undefined) throw new Error(`no address in ${this.stdout}`);
    return url;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

let database: TestDatabase;
const processes: Process[] = [];
const start = (settings: Settings = {}): Process => {
  const started = new Process({ JOBLEDGER_DATABASE_URL: database.url, ...settings });
  processes.push(started);
  return started;
};

beforeAll(async () => {
  await buildService();
  database = await createTestDatabase();
});
afterEach(() => {
  for (const started of processes.splice(0)) started.signal('SIGKILL');
});
afterAll(() => database.drop());

describe('a process', () => {
  it('prints one line with its address, and stops in order', async () => {
    const running = start();
    const url = await running.url();
    const call = new Caller(url);
    const { jobId } = await call.create({ queue: 'stop' });
    const stream = await SseReader.open(`${url}/v1/jobs/${jobId}/stream`);
    await stream.until((frames) => frames.some(({ event }) => event === 'caught-up'));
    const poll = call.post('/v1/claims', { workerId: 'w', queues: ['none'], waitMs: 60_000 });
    const wait = call.get(`/v1/jobs/${jobId}?waitMs=60000`);
    await call.post('/v1/claims', { workerId: 'w', queues: ['none'] });
    running.signal('SIGTERM');
    running.signal('SIGTERM');
    running.signal('SIGINT');
    await waitFor('the signal to be heard', () => running.stderr.includes('"msg":"stopping"'));
    // Before the others are awaited: it takes its leave while their connections are open.
    const [ready, late] = await Promise.all([call.get('/health/ready'), call.post('/v1/jobs', { type: 'late' })]);
    expect([ready.status, ready.body.status]).toEqual([503, 'unavailable']);
    expect([late.status, late.body.code, late.headers.get('retry-after')]).toEqual([503, 'unavailable', '1']);
    expect((await poll).body).toEqual({ jobs: [], blocked: [] });
    expect((await wait).body).toMatchObject({ id: jobId, status: 'queued' });
    await stream.end();
    expect(await running.ended).toBe(0);
    expect(running.stdout).toMatch(/^Jobledger is ready at http:\/\/127\.0\.0\.1:\d+ .*\n$/);
  });

  it('that does not serve the API says so instead of an address to call', async () => {
    const running = start({ JOBLEDGER_RUN: 'projections,reaper' });
    const url = await running.url();
    expect(running.stdout).toBe(
      `Jobledger is ready: it runs projections, reaper (JOBLEDGER_RUN) and not the API; only /health and /metrics are at ${url} (no API keys: loopback only, every role granted)\n`,
    );
    expect((await new Caller(url).get('/health/ready')).status).toBe(200);
  });

  it('whose log is away says where it listens and what is missing, and that it is ready once it is', async () => {
    const own = await createTestDatabase();
    const server = await FakeEventStoreDb.start();
    server.stop();
    try {
      const running = start({
        JOBLEDGER_DATABASE_URL: own.url,
        JOBLEDGER_EVENT_STORE: 'eventstoredb',
        JOBLEDGER_EVENTSTOREDB_URL: `esdb://admin:changeit@127.0.0.1:${server.port}?tls=false`,
      });
      const url = await running.url();
      const missing =
        `Jobledger listens at ${url} and is not ready: the log (EventStoreDB) does not answer at what ` +
        'JOBLEDGER_EVENTSTOREDB_URL names; trying until it does\n';
      expect(running.stdout).toBe(missing);
      expect((await new Caller(url).get('/health/ready')).status).toBe(503);
      await server.start();
      await waitFor('it to say that it is ready', () => running.stdout !== missing);
      const ready = `Jobledger is ready at ${url} (no API keys: loopback only, every role granted)\n`;
      expect(running.stdout).toBe(`${missing}${ready}`);
      running.signal('SIGTERM');
      expect(await running.ended).toBe(0);
      expect(running.stdout + running.stderr).not.toContain('changeit');
    } finally {
      server.stop();
      await own.drop();
    }
  });

  it('does not start with a certificate of the log that is not there, and says which', async () => {
    const own = await createTestDatabase();
    try {
      const refused = start({
        JOBLEDGER_DATABASE_URL: own.url,
        JOBLEDGER_EVENT_STORE: 'eventstoredb',
        JOBLEDGER_EVENTSTOREDB_URL: 'esdb://admin:changeit@127.0.0.1:1?tls=true&tlsCAFile=/none.crt',
      });
      expect(await refused.ended).toBe(2);
      expect(refused.stderr).toBe(
        'jobledger did not start: JOBLEDGER_EVENTSTOREDB_URL: the connection string cannot be read: ' +
          "tlsCAFile: ENOENT: no such file or directory, open '/none.crt'\n",
      );
    } finally {
      await own.drop();
    }
  });

  it('tells who has a connection that it stops, however late they ask, and closes that', async () => {
    const running = start();
    const { hostname, port } = new URL(await running.url());
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ready = async () => {
      const [answer] = (await once(get({ hostname, port, path: '/health/ready', agent }), 'response')) as [
        IncomingMessage,
      ];
      answer.resume();
      await once(answer, 'end');
      return [answer.statusCode, answer.headers.connection];
    };
    expect(await ready()).toEqual([200, 'keep-alive']);
    running.signal('SIGTERM');
    const signalledAt = performance.now();
    await waitFor('the shortest farewell to be over', () => performance.now() - signalledAt > 600);
    expect(await ready()).toEqual([503, 'close']);
    expect(await running.ended).toBe(0);
    agent.destroy();
  });

  it('brings its own database when none is configured, and finds it again, with the answers to its keys [R-16]', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'jobledger-process-'));
    try {
      const settings = { JOBLEDGER_DATABASE_URL: undefined, JOBLEDGER_DATA_DIR: folder };
      const first = start(settings);
      const key = (value: string) => ({ headers: { 'idempotency-key': value } });
      const job = { type: 'report', queue: 'kept' };
      const claim = { workerId: 'w', queues: ['kept'] };
      const call = new Caller(await first.url());
      const created = await call.post('/v1/jobs', job, key('create'));
      const claimed = await call.post('/v1/claims', claim, key('claim'));
      first.signal('SIGTERM');
      expect(await first.ended).toBe(0);
      const second = start(settings);
      const again = new Caller(await second.url());
      const [repeated, repeatedClaim] = [
        await again.post('/v1/jobs', job, key('create')),
        await again.post('/v1/claims', claim, key('claim')),
      ];
      expect([repeated.status, repeated.body]).toEqual([201, created.body]);
      expect(repeated.headers.get('idempotent-replayed')).toBe('true');
      expect(claimed.body.jobs).toHaveLength(1);
      expect(repeatedClaim.body).toEqual(claimed.body);
      const { job: held, leaseToken } = repeatedClaim.body.jobs[0];
      expect((await again.post(`/v1/jobs/${held.id}/complete`, { leaseToken })).status).toBe(200);
      second.signal('SIGINT');
      expect(await second.ended).toBe(0);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('sweeps by itself, and says so', async () => {
    const running = start({ JOBLEDGER_REAPER_INTERVAL_MS: '100' });
    const call = new Caller(await running.url());
    const { jobId } = await call.create({ queue: 'reaped', policy: { maxLostLeases: 0 } });
    await call.claim('reaped', { leaseMs: 100 });
    expect((await call.get(`/v1/jobs/${jobId}?waitMs=60000`)).body).toMatchObject({
      status: 'failed',
      error: { code: 'LeaseExpired' },
    });
    running.signal('SIGTERM');
    await running.ended;
    expect(running.stderr).toContain('"msg":"Reaped 1 stale job(s)."');
    expect(running.stderr).not.toContain('leaseToken');
  });

  it.each([
    ['serves the API alone', { JOBLEDGER_RUN: 'api' }],
    ['does everything', { JOBLEDGER_REAPER_INTERVAL_MS: '100' }],
  ])('that %s says once that the database is away, and once that it is back', async (_what, settings) => {
    const proxy = await openDatabaseProxy(database.url);
    try {
      const running = start({ JOBLEDGER_DATABASE_URL: proxy.url, ...settings });
      const call = new Caller(await running.url());
      const isReady = async () => (await call.get('/health/ready')).status === 200;
      await waitFor('it to be ready', isReady);
      proxy.cut();
      await waitFor('the outage to be told', () => running.stderr.includes('no answer'));
      // Its loops have tried again and again by then.
      for (let calls = 0; calls < 10; calls += 1) expect((await call.post('/v1/jobs', { type: 'x' })).status).toBe(503);
      proxy.mend();
      await waitFor('its end to be told', () => running.stderr.includes('again'));
      await waitFor('it to be ready again', isReady);
      running.signal('SIGTERM');
      await running.ended;
      const told = running.stderr
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as object);
      expect(told).toEqual([
        expect.objectContaining({
          level: 40,
          reason: expect.any(String),
          msg: 'There is no answer from the database: trying until there is.',
        }),
        expect.objectContaining({ level: 40, msg: 'There are answers from the database again.' }),
        expect.objectContaining({ level: 30, msg: 'stopping' }),
      ]);
    } finally {
      await proxy.close();
    }
  });

  it.each([
    ['an unknown setting', 2, { JOBLEDGER_COLOUR: 'red' }, 'JOBLEDGER_COLOUR'],
    ['a value out of range', 2, { JOBLEDGER_PORT: '99999' }, 'JOBLEDGER_PORT'],
    ['an empty value', 2, { JOBLEDGER_DATABASE_URL: '' }, 'JOBLEDGER_DATABASE_URL: is empty: '],
    ['a file of keys that is not there', 2, { JOBLEDGER_API_KEYS: '/none.yaml' }, 'JOBLEDGER_API_KEYS'],
    ...['esdb://127.0.0.1:1?tls=maybe', 'kurrentdb://127.0.0.1:1?tls=maybe'].map(
      (url): [string, number, Settings, string] => [
        `a log that cannot be opened, ${url}`,
        2,
        { JOBLEDGER_EVENT_STORE: 'eventstoredb', JOBLEDGER_EVENTSTOREDB_URL: url },
        'JOBLEDGER_EVENTSTOREDB_URL: ',
      ],
    ),
    [
      'a database that is not there',
      1,
      { JOBLEDGER_DATABASE_URL: 'postgres://x:y@127.0.0.1:1/x' },
      'JOBLEDGER_DATABASE_URL',
    ],
    [
      'a data folder that cannot be made',
      2,
      { JOBLEDGER_DATABASE_URL: undefined, JOBLEDGER_DATA_DIR: '/proc/jobledger' },
      'JOBLEDGER_DATA_DIR',
    ],
    [
      'a data folder with files of somebody else',
      2,
      { JOBLEDGER_DATABASE_URL: undefined, JOBLEDGER_DATA_DIR: import.meta.dirname },
      'JOBLEDGER_DATA_DIR',
    ],
  ])('does not start with %s, exit code %d, and says why in one line', async (_what, code, settings, reason) => {
    const refused = start(settings);
    expect(await refused.ended).toBe(code);
    expect(refused.stdout).toBe('');
    expect(refused.stderr).toMatch(/^jobledger did not start: .+\n$/);
    expect(refused.stderr).toContain(reason);
  });

  it.each([
    ['a password that is wrong', (url: URL) => (url.password = 'wrong')],
    ['a name that no database has', (url: URL) => (url.pathname = '/none')],
  ])('does not start with %s, exit code 2', async (_what, spoil) => {
    const url = new URL(database.url);
    spoil(url);
    const refused = start({ JOBLEDGER_DATABASE_URL: url.href });
    expect(await refused.ended).toBe(2);
    expect(refused.stderr).toMatch(/^jobledger did not start: JOBLEDGER_DATABASE_URL names a database .+\n$/);
  });

  it('does not start with a log that cannot be opened, and leaves the database free for another one', async () => {
    const empty = await createTestDatabase();
    try {
      const settings = { JOBLEDGER_DATABASE_URL: empty.url, JOBLEDGER_EVENT_STORE: 'eventstoredb' };
      const refused = start({ ...settings, JOBLEDGER_EVENTSTOREDB_URL: 'esdb://127.0.0.1:1?tls=maybe' });
      expect(await refused.ended).toBe(2);
      const running = start({ JOBLEDGER_DATABASE_URL: empty.url });
      await running.url();
      const other = start({ ...settings, JOBLEDGER_EVENTSTOREDB_URL: 'esdb://127.0.0.1:1?tls=false' });
      expect(await other.ended).toBe(2);
      expect(other.stderr).toMatch(/^jobledger did not start: this database keeps its log itself, and .*\n$/);
      running.signal('SIGTERM');
      await running.ended;
    } finally {
      await empty.drop();
    }
  });

  it('stops when it is told to while it waits to migrate', async () => {
    const other = new pg.Client({ connectionString: database.url });
    await other.connect();
    await other.query('select pg_advisory_lock($1, $2)', MIGRATION_LOCK);
    const waiting = start();
    await waitFor('it to wait', async () => {
      const { rowCount } = await other.query(
        "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      return rowCount === 1;
    });
    waiting.signal('SIGTERM');
    expect([await waiting.ended, waiting.stdout]).toEqual([0, '']);
    await other.end();
  });

  it('does not start on a port that is taken, and has made no database by then', async () => {
    const running = start();
    const { port } = new URL(await running.url());
    const folder = join(tmpdir(), `jobledger-never-${port}`);
    const refused = start({ JOBLEDGER_PORT: port, JOBLEDGER_DATABASE_URL: undefined, JOBLEDGER_DATA_DIR: folder });
    expect(await refused.ended).toBe(1);
    expect(existsSync(folder)).toBe(false);
    expect(refused.stderr).toMatch(/^jobledger did not start: .*EADDRINUSE.*\n$/);
    expect(refused.stderr).toContain(`port ${port} of 127.0.0.1`);
    expect(refused.stderr).toContain('JOBLEDGER_PORT');
  });
});

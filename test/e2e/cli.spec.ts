/** `jobledger` against a service: what it prints, what it does, and what its exit code says. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { JobledgerClient, type LedgerEvent } from '../../src/client/client.js';
import { buildService } from '../support/e2e/build.js';
import { cliFile, CliProcess, type Ran, runCli } from '../support/e2e/cli-process.js';
import { type ClusterDatabase, sharedServerDatabase } from '../support/e2e/database.js';
import { ServiceProcess } from '../support/e2e/service-process.js';
import { answer, loseAnswer, neverAnswer, problem, ScriptedLedger, stream } from '../support/scripted-ledger.js';

let database: ClusterDatabase;
let service: ServiceProcess;
let client: JobledgerClient;
let following: CliProcess | undefined;

beforeAll(async () => {
  await buildService();
  database = await sharedServerDatabase();
  const settings = { JOBLEDGER_DATABASE_URL: database.url, JOBLEDGER_RUN: 'api,projections' };
  service = await ServiceProcess.create('cli', settings);
  await service.start();
  client = new JobledgerClient({ baseUrl: service.url });
}, 120_000);

afterEach(async () => {
  await following?.kill();
  following = undefined;
});

afterAll(async () => {
  await service.kill();
  await database.remove();
});

const run = (...args: string[]): Promise<Ran> => runCli(args, { JOBLEDGER_URL: service.url });
const follow = (...args: string[]): CliProcess => (following = new CliProcess([...args, '--url', service.url]));

/** A job of a queue of its own that failed for good. */
const failedJob = async (queue: string): Promise<string> => {
  const { jobId } = await client.createJob({ type: 'report', queue });
  const { jobs } = await client.claim({ workerId: 'w', queues: [queue] });
  const { leaseToken } = jobs[0]!;
  await client.fail(jobId, { leaseToken, code: 'NoSuchPage', message: 'page 7 is missing', retryable: false });
  return jobId;
};

describe('jobs', () => {
  it('are listed as a table, and as JSON', async () => {
    const jobId = await failedJob('listed');
    const table = await run('jobs', 'list', '--queue', 'listed', '--status', 'FAILED');
    expect(table).toMatchObject({ code: 0, stderr: '' });
    expect(table.stdout.split('\n')).toEqual([
      expect.stringMatching(/^ID +STATUS +SINCE +TYPE +QUEUE +ATTEMPT +PROGRESS +WORKER, WAIT OR ERROR$/),
      expect.stringMatching(
        new RegExp(`^${jobId}  failed +[1-9]\\d*m?s .*report  listed +1 +NoSuchPage: page 7 is missing$`),
      ),
      '',
    ]);
    const json = await run('jobs', 'list', '--queue', 'listed', '--json');
    expect(JSON.parse(json.stdout)).toEqual([await client.getJob(jobId)]);
    expect(await run('dead-letters')).toMatchObject({ code: 0, stdout: expect.stringContaining(jobId) });
  });

  it('are listed up to a limit, which is said', async () => {
    const jobs = Array.from({ length: 3 }, () => ({ type: 'report', queue: 'long' }));
    const { items } = await client.createJobs({ jobs });
    await client.counters({ minPosition: items.at(-1)!.position });
    const some = await run('jobs', 'list', '--queue', 'long', '--limit', '2');
    expect(some.stdout.split('\n')).toHaveLength(4);
    expect(some.stderr).toContain('the first 2');
    const all = await run('jobs', 'list', '--queue', 'long', '--all', '--json');
    expect([JSON.parse(all.stdout).length, all.stderr]).toEqual([3, '']);
    expect(await run('queues')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^long +3 /m) });
    expect(await run('counters', '--by', 'queue')).toMatchObject({ stdout: expect.stringMatching(/^long +3 +3 /m) });
  });

  it('are shown with their failures, and as they were', async () => {
    const jobId = await failedJob('shown');
    const shown = await run('jobs', 'show', jobId);
    expect(shown.stdout).toMatch(/^status +failed, since .*, a dead letter$/m);
    expect(shown.stdout).toMatch(/^ +1 +1 +\S+ \S+ +NoSuchPage: page 7 is missing$/m);
    const history = await run('jobs', 'history', jobId, '--json');
    const events = JSON.parse(history.stdout) as LedgerEvent[];
    expect(events.map(({ type }) => type)).toEqual([
      ...['JobCreated', 'JobQueued', 'JobClaimed', 'JobStarted', 'AttemptFailed', 'JobFailed', 'JobDeadLettered'],
    ]);
    const before = await run('jobs', 'show', jobId, '--as-of', events[3]!.position, '--json');
    expect(JSON.parse(before.stdout)).toMatchObject({ id: jobId, status: 'running' });
    expect((await run('jobs', 'history', jobId)).stdout).toMatch(/JobFailed +running→failed +1 +worker w/);
  });

  it('are created, moved in the queue, and their lines read', async () => {
    const payload = '{"pages":["a"]}';
    const made = await run('jobs', 'create', '--type', 'report', '--queue', 'made', '--payload', payload, '--draft');
    const jobId = made.stdout.trim();
    expect(await client.getJob(jobId)).toMatchObject({ status: 'created', payload: { pages: ['a'] } });
    expect((await run('jobs', 'priority', jobId, '--priority', '-5', '--reason', 'later')).code).toBe(0);
    expect((await run('jobs', 'start', jobId)).stdout).toBe(`${jobId}  queued  JobQueued\n`);
    expect((await run('jobs', 'reschedule', jobId, '--delay-ms', '3600000')).code).toBe(0);
    expect(await client.getJob(jobId)).toMatchObject({ status: 'scheduled', priority: -5 });
    expect((await run('jobs', 'reschedule', jobId, '--available-at', '2026-01-01T00:00:00Z')).code).toBe(0);
    const { jobs } = await client.claim({ workerId: 'w', queues: ['made'] });
    const lines = [{ level: 'warn', message: 'page a is empty', fields: { page: 'a' } }] as const;
    await client.log(jobId, { leaseToken: jobs[0]!.leaseToken, lines });
    const logs = await run('jobs', 'logs', jobId);
    expect(logs.stdout).toMatch(/ w +1 +warn +page a is empty +\{"page":"a"\}$/m);
    expect(JSON.parse((await run('jobs', 'logs', jobId, '--json')).stdout)).toMatchObject(lines);
  });

  it('are created with all that an option says; a job without lines says so', async () => {
    const options = { tag: 'blue', priority: '7', 'max-attempts': '9', reason: 'for Ann', 'delay-ms': '3600000' };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    const made = await run('jobs', 'create', '--type', 'report', '--queue', 'said', '--tag', 'red', ...args);
    const jobId = made.stdout.trim();
    const said = { tags: ['red', 'blue'], priority: 7, maxAttempts: 9, status: 'scheduled' };
    expect(await client.getJob(jobId)).toMatchObject(said);
    expect((await client.jobEvents(jobId)).items[0]).toMatchObject({ type: 'JobCreated', reason: 'for Ann' });
    const dated = await run('jobs', 'create', '--type', 'x', '--available-at', '2099-01-01T00:00:00Z');
    const { availableAt } = await client.getJob(dated.stdout.trim());
    expect(availableAt).toBe('2099-01-01T00:00:00.000Z');
    expect(await run('jobs', 'logs', jobId)).toMatchObject({ stdout: '', stderr: 'no lines\n' });
    const types = JSON.parse((await run('jobs', 'history', jobId, '--desc', '--json')).stdout) as LedgerEvent[];
    expect(types.map(({ type }) => type)).toEqual(['JobScheduled', 'JobCreated']);
  });

  it('are created once by an idempotency key, with a policy and a preset of their own', async () => {
    const policy = '{"leaseMs":90000,"retry":{"initialMs":700}}';
    const args = ['--type', 'report', '--preset', 'beacon', '--policy', policy, '--idempotency-key', 'nightly'];
    const made = await run('jobs', 'create', ...args);
    const jobId = made.stdout.trim();
    const { policy: inForce } = await client.getJob(jobId);
    expect(inForce).toMatchObject({ leaseMs: 90_000, timeoutMs: 900_000, retry: { initialMs: 700, maxMs: 600_000 } });
    expect(await run('jobs', 'create', ...args)).toEqual(made);
    const other = await run('jobs', 'create', ...args, '--tag', 'other');
    expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining('(idempotency_key_reused)') });
  });

  it('that wait for a worker say so, those of a queue and each for itself', async () => {
    const { jobId, position } = await client.createJob({ type: 'Odd', queue: 'waited' });
    await client.counters({ minPosition: position });
    await client.claim({ workerId: 'w', queues: ['waited'], types: ['odd'] });
    expect((await run('queues')).stdout).toMatch(/^waited +1 .* Odd! +odd \(w, (now|\ds ago)\) /m);
    expect((await run('jobs', 'show', jobId)).stdout).toMatch(
      /^waits for +a worker that asks for `Odd` in `waited`: none has within a day; there they ask for odd$/m,
    );
  });

  it('that are held say why, however they came to wait', async () => {
    const { jobId } = await client.createJob({ type: 'report', queue: 'held' });
    const { jobs } = await client.claim({ workerId: 'w', queues: ['held'] });
    expect((await run('jobs', 'hold', jobId, '--reason', 'audit')).code).toBe(0);
    expect((await run('jobs', 'show', jobId)).stdout).toMatch(/^directive +pause: its worker has yet to heed it$/m);
    await client.release(jobId, { leaseToken: jobs[0]!.leaseToken, reason: 'held' });
    expect((await run('jobs', 'list', '--queue', 'held')).stdout).toMatch(/ paused: audit$/m);
    expect((await run('jobs', 'show', jobId)).stdout).toMatch(
      /^waits for +paused: audit, since .*resume` moves it on$/m,
    );
    const { position } = await client.resume(jobId);
    const was = await run('jobs', 'show', jobId, '--as-of', String(BigInt(position) - 2n));
    expect(was.stdout).toMatch(/^waits for +paused: audit, since \S+ \S+$/m);
  });

  it('have more lines than are shown, which is said', async () => {
    const { jobId } = await client.createJob({ type: 'report', queue: 'wordy' });
    const { jobs } = await client.claim({ workerId: 'w', queues: ['wordy'] });
    const lines = ['one', 'two'].map((message) => ({ level: 'info' as const, message }));
    await client.log(jobId, { leaseToken: jobs[0]!.leaseToken, lines });
    const logs = await run('jobs', 'logs', jobId, '--limit', '1');
    expect([logs.stdout, logs.stderr]).toEqual([expect.not.stringContaining('two'), expect.stringMatching(/more/)]);
  });

  it('are moved by hand; one that is refused does not stop the others', async () => {
    const { jobId } = await client.createJob({ type: 'report', queue: 'moved' });
    const dead = await failedJob('moved-too');
    const retried = await run('jobs', 'retry', jobId, dead, '--reason', 'fixed');
    expect(retried.code).toBe(1);
    expect(retried.stdout).toBe(`${dead}  queued  JobRetried, JobQueued\n`);
    expect(retried.stderr).toMatch(new RegExp(`^${jobId}: .*\\(illegal_transition\\)\n$`));
    expect(await run('jobs', 'cancel', jobId, dead, '--reason', 'by Ann')).toMatchObject({ code: 0, stderr: '' });
    expect((await client.getJob(dead)).status).toBe('cancelled');
    const shown = await run('jobs', 'show', jobId);
    expect(shown.stdout).toMatch(/^by hand +JobCancelled at .* by client anonymous: by Ann$/m);
  });
});

describe('a sweep', () => {
  it('is missed when nobody sweeps', async () => {
    expect(await run('reaper', 'status')).toMatchObject({ code: 1, stdout: expect.stringMatching(/^alive +NO$/m) });
  });

  it.each([
    ['is missed when a job is overdue, however lately one was made', { mostOverdueMs: 10_001 }, 1],
    ['is not missed over a job that has just become due', { mostOverdueMs: 10_000 }, 0],
    ['is missed when the last one failed', { consecutiveErrors: 1, lastError: 'no' }, 1],
  ])('%s', async (_what, told, code) => {
    const scripted = await ScriptedLedger.start();
    try {
      const well = { alive: true, leader: 'a', sweeps: 3, lastSweepAt: '2026-01-31T12:00:00.000Z', overdue: 1 };
      const status = { ...well, mostOverdueMs: 0, consecutiveErrors: 0, lastError: null, ...told };
      scripted.script('GET /v1/reaper', answer(status));
      expect((await runCli(['reaper', 'status', '--url', scripted.url])).code).toBe(code);
    } finally {
      await scripted.close();
    }
  });

  it('says what is due without doing it, then does it', async () => {
    await client.createJob({ type: 'report', queue: 'swept' });
    const { jobs } = await client.claim({ workerId: 'w', queues: ['swept'], leaseMs: 100 });
    const { id } = jobs[0]!.job;
    await client.getJob(id, { waitMs: 200 });
    const looked = await run('reaper', 'sweep', '--dry-run');
    expect(looked).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Would do: 1 due: requeued 1 /) });
    expect((await client.getJob(id)).status).toBe('running');
    const swept = await run('reaper', 'sweep', '--json');
    expect(JSON.parse(swept.stdout)).toMatchObject({
      jobs: [{ jobId: id, rule: 'lease_expired', verdict: 'requeued' }],
    });
    expect((await client.getJob(id)).status).toBe('queued');
  });
});

describe('verify', () => {
  it('finds nothing wrong, then a row that somebody edited, and puts it right when told to', async () => {
    const { jobId } = await client.createJob({ type: 'report', queue: 'verified' });
    const sound = await run('verify');
    expect([sound.code, sound.stdout]).toEqual([0, expect.stringMatching(/^jobs +yes .*\n(.*\n)*log +yes /m)]);

    const admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
    await admin.query('update jobledger.jobs set revision = revision + 5 where id = $1', [jobId]);
    await admin.end();
    const spoilt = await run('verify', 'jobs', '--json');
    expect(spoilt.code).toBe(4);
    expect(JSON.parse(spoilt.stdout)).toMatchObject([{ ok: false, differences: [{ id: jobId }], repaired: false }]);
    const repaired = await run('verify', 'jobs', '--repair');
    expect([repaired.code, repaired.stdout]).toEqual([0, expect.stringMatching(/1 row differs.*repaired/)]);
    expect((await run('verify', 'jobs')).code).toBe(0);
    expect((await run('rebuild', 'counters')).stdout).toMatch(/^counters +yes /m);
  });

  it('holds the log against an end that was kept elsewhere', async () => {
    const { position, hash } = await client.logHead();
    expect((await run('verify', 'log', '--head', `${position}:${hash}`)).code).toBe(0);
    const forged = await run('verify', 'log', '--head', `${position}:${'0'.repeat(64)}`);
    expect([forged.code, forged.stdout]).toEqual([4, expect.stringMatching(/^log +NO /m)]);
  });
});

describe('a tail', () => {
  it('goes on where it was when the service is killed and comes back, and says so beside its output', async () => {
    const { position } = await client.logHead();
    const tail = follow('events', 'tail', '--queue', 'tailed', '--after', position, '--json');
    const create = () => client.createJob({ type: 'report', queue: 'tailed' });
    const first = await create();
    await tail.printed(2);
    await service.kill();
    await tail.noted(/the stream was cut .*; it goes on after position \d+ when it can/);
    await service.start();
    const second = await create();
    await tail.noted(/the stream goes on after position \d+/);
    const events = (await tail.printed(4)).map((line) => JSON.parse(line) as LedgerEvent);
    expect(events.map(({ jobId, type }) => [jobId, type])).toEqual([
      [first.jobId, 'JobCreated'],
      [first.jobId, 'JobQueued'],
      [second.jobId, 'JobCreated'],
      [second.jobId, 'JobQueued'],
    ]);
    tail.signal('SIGINT');
    expect(await tail.code()).toBe(130);
  });

  it('ends when it has shown all, or as many as were asked for', async () => {
    const { jobId } = await client.createJob({ type: 'report', queue: 'ended' });
    const events = await run('events', 'tail', '--queue', 'ended', '--after', '0', '--no-follow');
    expect(events).toMatchObject({ code: 0, stderr: '' });
    expect(events.stdout.split('\n')).toEqual([
      expect.stringMatching(new RegExp(`^\\d+ .* ${jobId}  JobCreated `)),
      expect.stringMatching(new RegExp(`^\\d+ .* ${jobId}  JobQueued `)),
      '',
    ]);
    const jobs = await run('jobs', 'tail', '--queue', 'ended', '--after', '0', '--limit', '1', '--json');
    expect(JSON.parse(jobs.stdout)).toMatchObject({ id: jobId, status: 'queued' });
  });

  it.each([
    ['events', 'SIGINT'],
    ['jobs', 'SIGTERM'],
  ] as const)('of %s that nobody reads ends at %s', async (what, signal) => {
    const scripted = await ScriptedLedger.start();
    try {
      // More than any pipe takes at once.
      const data = JSON.stringify({ type: 'x'.repeat(8_000_000) });
      scripted.script(`GET /v1/streams/${what}`, stream([`id: 1\ndata: ${data}\n\n`], 'open'));
      const tail = (following = new CliProcess([what, 'tail', '--json', '--url', scripted.url]));
      await tail.stalled();
      tail.signal(signal);
      expect(await tail.code()).toBe(130);
    } finally {
      await scripted.close();
    }
  });

  it('ends quietly when nobody reads any more', async () => {
    const jobs = Array.from({ length: 1_000 }, () => ({ type: 'report', queue: 'read' }));
    await client.createJobs({ jobs });
    const pipe = `"${process.execPath}" "${cliFile}" events tail --after 0 --json --url ${service.url} | head -1; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await promisify(execFile)('bash', ['-c', pipe]);
    expect([stdout.split('\n')[1], stderr]).toEqual(['0', '']);
  });
});

describe('the exit code', () => {
  it.each([
    [2, ['jobs', 'lst'], /did you mean jobs list\?/],
    [2, ['jobs', 'list', '--statsu', 'x'], /no such option: --statsu, did you mean --status\?/],
    [2, ['jobs', 'show', '123'], /expected the id of a job/],
    [2, ['jobs', 'create', '--type', 'x', '--payload', '{'], /--payload: expected JSON/],
    [2, ['jobs', 'create', '--type', 'x', '--policy', '{'], /--policy: expected JSON/],
    [2, ['jobs', 'create', '--type', 'x', '--preset', 'proton'], /^jobledger jobs create: preset must be one of/],
    [2, ['jobs', 'create', '--queue', 'x'], /Give --type/],
    [2, ['jobs', 'priority', '0198c0de-0000-7000-8000-000000000000'], /Give --priority/],
    [3, ['demo', '--url', 'http://127.0.0.1:9'], /127\.0\.0\.1:9/],
    [2, ['verify', '--head', 'x'], /--head: expected POSITION:HASH/],
    [2, ['config', '--local'], /JOBLEDGER_PRT: no such setting, did you mean JOBLEDGER_PORT\?/],
    [1, ['jobs', 'show', '0198c0de-0000-7000-8000-000000000000'], /\(not_found\)/],
    [2, ['jobs', 'list', '--status', 'x'], /^jobledger jobs list: status must be one of/],
    [1, ['verify', 'nothing'], /there is no projection nothing/],
    [3, ['counters', '--url', 'http://127.0.0.1:9'], /ECONNREFUSED|bad port/],
    [3, ['events', 'tail', '--url', 'http://127.0.0.1:9'], /^jobledger events tail: no stream: /],
    [0, ['--version'], /^$/],
    [0, ['help'], /^$/],
    [0, ['-h'], /^$/],
    [0, ['jobs', '-h'], /^$/],
    [0, ['jobs', 'list', '-h'], /^$/],
  ])('is %d for %j', async (code, args, message) => {
    const misspelt = args[0] === 'config' ? { JOBLEDGER_PRT: '1' } : {};
    const ran = await runCli(args, { JOBLEDGER_URL: service.url, ...misspelt });
    expect([ran.code, ran.stderr]).toEqual([code, expect.stringMatching(message)]);
  });

  const onLinux = process.platform === 'linux' ? it : it.skip;
  onLinux.each(['queues', 'events tail --after 0'])(
    'is 1 for %s on a device that is full, and one line says so',
    async (command) => {
      await client.createJob({ type: 'report', queue: 'full' });
      const script = `"${process.execPath}" "${cliFile}" ${command} --url ${service.url} > /dev/full; echo $?`;
      const { stdout, stderr } = await promisify(execFile)('bash', ['-c', script]);
      expect(stderr).toMatch(/^jobledger: the output cannot be written: ENOSPC: no space left on device.*\n$/);
      expect(stdout).toBe('1\n');
    },
  );
});

describe('a service that turns away or loses a call', () => {
  it.each([
    ['is unavailable', 'GET /v1/counters', problem(503, 'unavailable'), ['counters']],
    ['loses the answer of a command', 'POST /v1/jobs', loseAnswer, ['jobs', 'create', '--type', 'x']],
  ] as const)('%s: exit code 3', async (_what, call, reply, args) => {
    const scripted = await ScriptedLedger.start();
    try {
      scripted.script(call, reply);
      expect((await runCli([...args, '--url', scripted.url])).code).toBe(3);
    } finally {
      await scripted.close();
    }
  });
});

describe('an interrupt', () => {
  it('of what waits for an answer: exit code 130', async () => {
    const scripted = await ScriptedLedger.start();
    try {
      const upkeep = { id: 'u', kind: 'rebuild', projection: 'jobs', state: 'running', percent: 0, step: 'reading' };
      scripted.script(
        'POST /v1/admin/projections/jobs/rebuild',
        answer({ ...upkeep, finishedAt: null, etaMs: null, eventsPerSecond: null }),
      );
      scripted.script('GET /v1/admin/upkeep/u', neverAnswer);
      const rebuild = (following = new CliProcess(['rebuild', 'jobs', '--url', scripted.url]));
      await scripted.received('GET /v1/admin/upkeep/u');
      rebuild.signal('SIGINT');
      expect(await rebuild.code()).toBe(130);
    } finally {
      await scripted.close();
    }
  });
});

describe('a service that does not answer', () => {
  it.each([[['counters']], [['events', 'tail']]])('is waited for as long as was said: %j', async (args) => {
    const scripted = await ScriptedLedger.start();
    try {
      scripted.script('GET /v1/counters', neverAnswer).script('GET /v1/streams/events', neverAnswer);
      const ran = await runCli([...args, '--timeout', '1', '--url', scripted.url]);
      expect([ran.code, ran.stderr]).toEqual([3, expect.stringMatching(/no answer in 1000 ms/)]);
    } finally {
      await scripted.close();
    }
  });
});

describe('keys', () => {
  it('are made, taken by a service, listed and revoked', async () => {
    const place = mkdtempSync(join(tmpdir(), 'jobledger-keys-test-'));
    const file = join(place, 'keys.yaml');
    const guarded = await ServiceProcess.create('keys', {
      ...{ JOBLEDGER_DATABASE_URL: database.url, JOBLEDGER_RUN: 'api', JOBLEDGER_API_KEYS: file },
    });
    try {
      const made = await run('keys', 'create', 'ann', '--role', 'operator', '--file', file);
      const bob = await run('keys', 'create', 'bob', '--role', 'auditor', '--file', file, '--json');
      expect([made.code, bob.code, JSON.parse(bob.stdout)]).toMatchObject([0, 0, { id: 'bob', roles: ['auditor'] }]);
      await guarded.start();
      const key = made.stdout.trim();
      const list = (environment: Record<string, string>) =>
        runCli(['jobs', 'list', '--limit', '1'], { JOBLEDGER_URL: guarded.url, ...environment });
      expect((await list({ JOBLEDGER_API_KEY: key })).code).toBe(0);
      expect(await list({})).toMatchObject({ code: 1, stderr: expect.stringContaining('(unauthenticated)') });
      expect((await run('keys', 'list', '--file', file)).stdout).toBe('ID   ROLES\nann  operator\nbob  auditor\n');
      expect((await run('keys', 'revoke', 'ann', '--file', file)).code).toBe(0);
      expect(await list({ JOBLEDGER_API_KEY: key })).toMatchObject({ code: 1 });
    } finally {
      await guarded.kill();
      rmSync(place, { recursive: true, force: true });
    }
  });

  it.each([
    [2, ['keys', 'create', 'x', '--role', 'oprator', '--file', 'f'], /did you mean operator\?/],
    [2, ['keys', 'create', 'x', '--file', 'f'], /Give --role/],
    [2, ['keys', 'list'], /Give --file, or set JOBLEDGER_API_KEYS/],
    [1, ['keys', 'list', '--file', '/none'], /\/none: cannot be read/],
  ])('are refused with %d as %j', async (code, args, message) => {
    const ran = await run(...args);
    expect([ran.code, ran.stderr]).toEqual([code, expect.stringMatching(message)]);
  });
});

describe('the key of who asks', () => {
  it('is sent as the contract says', async () => {
    const scripted = await ScriptedLedger.start();
    try {
      scripted.script('GET /v1/config', answer({ settings: [] }));
      await runCli(['config', '--url', scripted.url], { JOBLEDGER_API_KEY: 'of-the-environment' });
      await runCli(['config', '--url', scripted.url, '--key', 'of-the-option']);
      expect(scripted.requests.map(({ headers }) => headers.authorization)).toEqual([
        ...['Bearer of-the-environment', 'Bearer of-the-option'],
      ]);
    } finally {
      await scripted.close();
    }
  });
});

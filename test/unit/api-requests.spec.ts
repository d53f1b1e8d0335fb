import { describe, expect, it } from '@jest/globals';
import type { z } from 'zod';
import { Problem } from '../../src/api/problem.js';
import { createJob, createJobs } from '../../src/api/requests/create.js';
import { MAX_VALUE_BYTES, parseInstant } from '../../src/api/requests/fields.js';
import * as headers from '../../src/api/requests/headers.js';
import * as commands from '../../src/api/requests/job-commands.js';
import { jobId } from '../../src/api/requests/paths.js';
import * as queries from '../../src/api/requests/queries.js';
import * as worker from '../../src/api/requests/worker-calls.js';
import { type Source, validated } from '../../src/api/validation.js';

const refusalOf = (schema: z.ZodType, value: unknown, source: Source = 'body'): Problem => {
  try {
    validated(schema, value, source);
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error(`was accepted: ${JSON.stringify(value)}`);
};

/** What a value is refused with: its code and the paths. */
const refused = (schema: z.ZodType, value: unknown, source: Source = 'body'): string => {
  const { code, errors } = refusalOf(schema, value, source);
  return [code, ...errors.map((error) => error.path)].join(' ');
};

it('of a path says in words what it would have to name', () => {
  expect(refusalOf(jobId, 'xyz', 'param').message).toBe(
    'there is nothing at this path: what it names must be the id of a job, as 019a2b3c-4d5e-7f60-8123-456789abcdef',
  );
});

const job = { type: 'email.send' };
const lease = { leaseToken: 't' };
const long = 'x'.repeat(121);

describe('create', () => {
  it('fills in what was not said', () => {
    expect(validated(createJob, job, 'body')).toEqual({
      type: 'email.send',
      queue: 'default',
      payload: null,
      priority: 0,
      tags: [],
      autostart: true,
      availableAt: null,
      delayMs: null,
      maxAttempts: null,
      total: null,
      policy: null,
      preset: null,
      correlationId: null,
      reason: null,
    });
  });

  it('keeps what was said', () => {
    const full = {
      type: 'a/b:c_d-e.f',
      queue: 'q',
      payload: { __proto__: null, a: [1, null] },
      priority: -1_000,
      tags: Array.from({ length: 20 }, (_, i) => `t${i}`),
      autostart: false,
      delayMs: 0,
      maxAttempts: 100,
      total: 0,
      policy: { stallMs: 0, retry: { factor: 1.5 }, completion: { comparator: '>=' } },
      preset: 'beacon',
      correlationId: 'c',
      reason: 'because',
    };
    expect(validated(createJob, full, 'body')).toEqual({ ...full, availableAt: null });
  });

  it('takes any JSON as payload, a name like __proto__ too', () => {
    const payload: unknown = JSON.parse('{"__proto__":{"a":1}}');
    const kept = validated(createJob, { ...job, payload }, 'body').payload;
    expect(JSON.stringify(kept)).toBe('{"__proto__":{"a":1}}');
  });

  it.each<[unknown, string]>([
    [{}, 'type'],
    [{ type: '' }, 'type'],
    [{ type: long }, 'type'],
    [{ type: 'with space' }, 'type'],
    [{ type: 'ümlaut' }, 'type'],
    [{ type: null }, 'type'],
    [{ ...job, queue: 7 }, 'queue'],
    [{ ...job, priority: 1_001 }, 'priority'],
    [{ ...job, priority: 0.5 }, 'priority'],
    [{ ...job, priority: '1' }, 'priority'],
    [{ ...job, tags: Array.from({ length: 21 }, () => 't') }, 'tags'],
    [{ ...job, tags: ['ok', 'not ok'] }, 'tags[1]'],
    [{ ...job, autostart: 'yes' }, 'autostart'],
    [{ ...job, delayMs: -1 }, 'delayMs'],
    [{ ...job, delayMs: 1.5 }, 'delayMs'],
    [{ ...job, availableAt: 'tomorrow' }, 'availableAt'],
    [{ ...job, availableAt: 1_700_000_000_000 }, 'availableAt'],
    [{ ...job, maxAttempts: 0 }, 'maxAttempts'],
    [{ ...job, maxAttempts: 101 }, 'maxAttempts'],
    [{ ...job, total: -1 }, 'total'],
    [{ ...job, preset: 'proteas' }, 'preset'],
    [{ ...job, policy: { leaseMs: 99 } }, 'policy.leaseMs'],
    [{ ...job, policy: { leaseMs: 86_400_001 } }, 'policy.leaseMs'],
    [{ ...job, policy: { stallMs: 50 } }, 'policy.stallMs'],
    [{ ...job, policy: { retry: { jitter: 1.1 } } }, 'policy.retry.jitter'],
    [{ ...job, policy: { retry: { x: 1 } } }, 'policy.retry.x'],
    [{ ...job, policy: { retry: 1 } }, 'policy.retry'],
    [{ ...job, policy: { onStale: 'explode' } }, 'policy.onStale'],
    [{ ...job, reason: '' }, 'reason'],
    [{ ...job, reason: 'x'.repeat(4_001) }, 'reason'],
    [{ ...job, Type: 'x' }, 'Type'],
    [{ ...job, constructor: 'x' }, 'constructor'],
    [{ ...job, availableAt: '2030-01-01T00:00:00Z', delayMs: 5 }, ''],
    [[], ''],
    [null, ''],
    ['x', ''],
  ])('refuses %j at "%s"', (value, path) => {
    expect(refused(createJob, value)).toBe(`validation_failed ${path}`);
  });

  it.each([
    'items',
    'itemCount',
    'matrix',
    'itemsSealed',
    'stages',
    'parentId',
    'dependsOn',
    'requires',
    'dedupKey',
    'dedup',
    'concurrencyKey',
    'expiresAt',
    'callback',
  ])('says that %s is not built yet, whatever else is wrong', (field) => {
    const problem = refusalOf(createJob, { [field]: null, unknown: 1 });
    expect(problem.status).toBe(501);
    expect(problem.errors.map((error) => error.path)).toEqual([field]);
    expect(problem.message).toContain(field);
  });

  it('tells all errors at once, with what was expected', () => {
    const problem = refusalOf(createJob, {
      queue: '?',
      priority: 1e6,
      nope: 1,
      availableAt: '2030-01-01T00:00:00Z',
      delayMs: 5,
    });
    expect(problem.errors).toEqual([
      { path: 'type', message: 'type is required: a name of 1–120 characters of A–Z a–z 0–9 . _ : / -' },
      { path: 'queue', message: 'queue must be a name of 1–120 characters of A–Z a–z 0–9 . _ : / -' },
      { path: 'priority', message: 'priority must be a whole number from -1000 to 1000' },
      { path: 'nope', message: 'nope is not known here' },
      { path: '', message: 'the body must have only one of availableAt and delayMs' },
    ]);
    expect(problem.message).toMatch(/^type is required.*and 4 more/);
  });

  it('lists at most fifty errors', () => {
    const jobs = Array.from({ length: 1_000 }, () => ({}));
    expect(refusalOf(createJobs, { jobs }).errors).toHaveLength(50);
  });
});

describe('a value of a body', () => {
  const value = (bytes: number): string => 'x'.repeat(bytes - 2);

  it('may have 256 KiB of compact JSON', () => {
    expect(validated(createJob, { ...job, payload: value(MAX_VALUE_BYTES) }, 'body').payload).toHaveLength(262_142);
  });

  it.each<[string, z.ZodType, (value: string) => unknown, string]>([
    ['payload', createJob, (payload) => ({ ...job, payload }), 'payload'],
    ['payload in a batch', createJobs, (payload) => ({ jobs: [job, { ...job, payload }] }), 'jobs[1].payload'],
    ['payload of a retry', commands.retryJob, (payload) => ({ payload }), 'payload'],
    ['result', worker.complete, (result) => ({ ...lease, result }), 'result'],
    ['checkpoint', worker.heartbeat, (checkpoint) => ({ ...lease, checkpoint }), 'checkpoint'],
    ['detail of a failure', worker.fail, (detail) => ({ ...lease, code: 'c', message: 'm', detail }), 'detail'],
    ['detail of a wait', worker.wait, (detail) => ({ ...lease, reason: 'r', detail }), 'detail'],
  ])('is too large beyond that, whatever else is wrong: %s', (_name, schema, bodyWith, path) => {
    const wrong = { ...(bodyWith(value(MAX_VALUE_BYTES + 1)) as object), unknown: 1 };
    expect(refused(schema, wrong)).toBe(`payload_too_large ${path}`);
  });

  it('is measured in bytes of UTF-8, escapes included', () => {
    expect(refused(createJob, { ...job, payload: 'é'.repeat(131_072) })).toBe('payload_too_large payload');
    expect(refused(createJob, { ...job, payload: { a: ['\n'.repeat(131_072)] } })).toBe('payload_too_large payload');
    expect(refused(createJob, { ...job, payload: { ['k'.repeat(262_144)]: 1 } })).toBe('payload_too_large payload');
    expect(validated(createJob, { ...job, payload: Array(100_000).fill(1) }, 'body').payload).toHaveLength(100_000);
  });
});

describe('a time', () => {
  it.each([
    ['2026-01-31T12:00:00Z', '2026-01-31T12:00:00.000Z'],
    ['2026-01-31t12:00:00.1z', '2026-01-31T12:00:00.100Z'],
    ['2026-01-31T12:00:00.123456789+02:00', '2026-01-31T10:00:00.123Z'],
    ['2024-02-29T23:59:59-11:30', '2024-03-01T11:29:59.000Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
  ])('%s is %s', (written, instant) => {
    expect(parseInstant(written)).toBe(instant);
  });

  it.each([
    '2026-02-29T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:00:60Z',
    '2026-01-01T00:00:00',
    '2026-01-01',
    '2026-01-01 00:00:00Z',
    '2026-01-01T00:00Z',
    '2026-01-01T00:00:00+24:00',
    '0000-01-01T00:00:00Z',
    '9999-12-31T23:59:59-01:00',
    '',
    '0',
  ])('%s is none', (written) => {
    expect(parseInstant(written)).toBeUndefined();
  });
});

describe('a batch', () => {
  it('has one to a thousand jobs', () => {
    expect(refused(createJobs, {})).toBe('validation_failed ');
    expect(refused(createJobs, { jobs: [] })).toBe('validation_failed jobs');
    expect(refused(createJobs, { jobs: Array(1_001).fill(job) })).toBe('validation_failed jobs');
    expect(validated(createJobs, { jobs: Array(1_000).fill(job) }, 'body').jobs).toHaveLength(1_000);
  });

  it('of a grid has at most a hundred parameters', () => {
    const grid = (parameters: number) =>
      Object.fromEntries(Array.from({ length: parameters }, (_, n) => [`p${n}`, n === 0 ? [1, 2] : [n]]));
    expect(refused(createJobs, { template: job, grid: grid(101) })).toBe('validation_failed grid');
    expect(validated(createJobs, { template: job, grid: grid(100) }, 'body').grid).toEqual(grid(100));
  });

  it('names the entry', () => {
    expect(refused(createJobs, { jobs: [job, {}, { ...job, x: 1 }] })).toBe('validation_failed jobs[1].type jobs[2].x');
    expect(refused(createJobs, { jobs: [job, { ...job, dedupKey: 'k' }] })).toBe('not_implemented jobs[1].dedupKey');
    expect(refused(createJobs, { template: { ...job, x: 1 }, grid: {} })).toBe('validation_failed template.x grid');
    expect(refused(createJobs, { template: { ...job, dedupKey: 'k' }, grid: { a: [1] } })).toBe(
      'not_implemented template.dedupKey',
    );
  });
});

describe('commands of clients', () => {
  it.each<[string, z.ZodType, unknown, unknown]>([
    ['start', commands.startJob, {}, { leaseToken: null, reason: null }],
    ['cancel', commands.cancelJob, {}, { cascade: true, force: false, reason: null }],
    ['retry', commands.retryJob, {}, { reason: null }],
    ['retry with null', commands.retryJob, { payload: null }, { payload: null, reason: null }],
    ['resume', commands.resumeJob, { reason: 'r' }, { reason: 'r' }],
    ['sweep', commands.sweep, {}, { dryRun: false, reason: null }],
    ['reschedule', commands.rescheduleJob, { delayMs: 5 }, { availableAt: null, delayMs: 5, reason: null }],
    ['priority', commands.setPriority, { priority: 7 }, { priority: 7, reason: null }],
  ])('%s takes, case %#', (_name, schema, value, output) => {
    expect(validated(schema, value, 'body')).toEqual(output);
  });

  it.each<[string, z.ZodType, unknown, string]>([
    ['start', commands.startJob, { leaseToken: '' }, 'validation_failed leaseToken'],
    ['cancel', commands.cancelJob, { cascade: false }, 'not_implemented cascade'],
    ['cancel', commands.cancelJob, { cascade: 'no' }, 'validation_failed cascade'],
    ['cancel', commands.cancelJob, { force: 1 }, 'validation_failed force'],
    ['retry', commands.retryJob, { resetItems: true }, 'not_implemented resetItems'],
    ['resume', commands.resumeJob, { x: 1 }, 'validation_failed x'],
    ['reschedule', commands.rescheduleJob, {}, 'validation_failed '],
    ['reschedule', commands.rescheduleJob, { delayMs: 1, availableAt: '2030-01-01T00:00:00Z' }, 'validation_failed '],
    ['priority', commands.setPriority, {}, 'validation_failed priority'],
    ['sweep', commands.sweep, { dryRun: null }, 'validation_failed dryRun'],
  ])('%s refuses, case %#', (_name, schema, value, refusal) => {
    expect(refused(schema, value)).toBe(refusal);
  });
});

describe('calls of workers', () => {
  it.each<[string, z.ZodType, unknown, unknown]>([
    [
      'claim',
      worker.claim,
      { workerId: 'w' },
      { workerId: 'w', queues: null, types: null, max: 1, waitMs: 0, leaseMs: null, start: true, reason: null },
    ],
    ['heartbeat', worker.heartbeat, lease, { ...lease, leaseMs: null, state: null, reason: null }],
    [
      'heartbeat',
      worker.heartbeat,
      { ...lease, checkpoint: null },
      { ...lease, checkpoint: null, leaseMs: null, state: null, reason: null },
    ],
    ['complete', worker.complete, lease, { ...lease, result: null, reason: null }],
    [
      'fail',
      worker.fail,
      { ...lease, code: 'E x', message: 'm' },
      { ...lease, code: 'E x', message: 'm', detail: null, retryable: true, reason: null },
    ],
    ['throttle', worker.throttle, { ...lease, baseMs: 1 }, { ...lease, baseMs: 1, retryAfterMs: null, reason: null }],
    [
      'throttle',
      worker.throttle,
      { ...lease, retryAfterMs: 0 },
      { ...lease, baseMs: null, retryAfterMs: 0, reason: null },
    ],
    ['wait', worker.wait, { ...lease, reason: 'r' }, { ...lease, reason: 'r', detail: null, until: null }],
    ['release', worker.release, { ...lease, reason: 'r' }, { ...lease, reason: 'r' }],
    [
      'logs',
      worker.writeLogs,
      { ...lease, lines: [{ level: 'info', message: 'm' }] },
      { ...lease, lines: [{ level: 'info', message: 'm', fields: null, at: null }], reason: null },
    ],
  ])('%s takes, case %#', (_name, schema, value, output) => {
    expect(validated(schema, value, 'body')).toEqual(output);
  });

  it.each<[string, z.ZodType, unknown, string]>([
    ['claim', worker.claim, {}, 'validation_failed workerId'],
    ['claim', worker.claim, { workerId: 'w', max: 0 }, 'validation_failed max'],
    ['claim', worker.claim, { workerId: 'w', max: 1_001 }, 'validation_failed max'],
    ['claim', worker.claim, { workerId: 'w', waitMs: 60_001 }, 'validation_failed waitMs'],
    ['claim', worker.claim, { workerId: 'w', leaseMs: 99 }, 'validation_failed leaseMs'],
    ['claim', worker.claim, { workerId: 'w', queues: [] }, 'validation_failed queues'],
    ['claim', worker.claim, { workerId: 'w', types: 'a' }, 'validation_failed types'],
    ['heartbeat', worker.heartbeat, {}, 'validation_failed leaseToken'],
    ['heartbeat', worker.heartbeat, { ...lease, state: 'x'.repeat(41) }, 'validation_failed state'],
    ['complete', worker.complete, { result: 1 }, 'validation_failed leaseToken'],
    ['fail', worker.fail, lease, 'validation_failed code message'],
    ['fail', worker.fail, { ...lease, code: long, message: '' }, 'validation_failed code message'],
    ['fail', worker.fail, { ...lease, code: 'c', message: 'm', credential: {} }, 'not_implemented credential'],
    ['throttle', worker.throttle, lease, 'validation_failed '],
    ['throttle', worker.throttle, { ...lease, baseMs: 1, retryAfterMs: 1 }, 'validation_failed '],
    ['throttle', worker.throttle, { ...lease, retryAfterMs: 86_400_001 }, 'validation_failed retryAfterMs'],
    ['throttle', worker.throttle, { ...lease, baseMs: 1, resource: 'r' }, 'not_implemented resource'],
    ['wait', worker.wait, lease, 'validation_failed reason'],
    ['wait', worker.wait, { ...lease, reason: 'r', credential: 'c' }, 'not_implemented credential'],
    ['release', worker.release, lease, 'validation_failed reason'],
    ['logs', worker.writeLogs, { ...lease, lines: [] }, 'validation_failed lines'],
    [
      'logs',
      worker.writeLogs,
      { ...lease, lines: [{ level: 'loud', message: 'm' }] },
      'validation_failed lines[0].level',
    ],
  ])('%s refuses, case %#', (_name, schema, value, refusal) => {
    expect(refused(schema, value)).toBe(refusal);
  });

  it('counts characters as people do, by code points', () => {
    expect(validated(worker.heartbeat, { ...lease, state: '😀'.repeat(40) }, 'body').state).toHaveLength(80);
    expect(refused(worker.heartbeat, { ...lease, state: '😀'.repeat(41) })).toBe('validation_failed state');
  });
});

describe('progress', () => {
  const call = { ...lease, batchId: 'b' };

  it('counts what was not said as none', () => {
    expect(validated(worker.progress, call, 'body')).toEqual({
      ...call,
      processed: 0,
      failed: 0,
      skipped: 0,
      stage: null,
      current: null,
      total: null,
      message: null,
      reason: null,
    });
    expect(validated(worker.progress, { ...call, processed: 5, failed: 2, skipped: 3 }, 'body').processed).toBe(5);
    expect(validated(worker.progress, { ...call, current: 5, total: 9 }, 'body').current).toBe(5);
  });

  it.each<[unknown, string]>([
    [{}, 'validation_failed batchId'],
    [{ batchId: 'b', processed: 1, failed: 2 }, 'validation_failed processed'],
    [{ batchId: 'b', skipped: 1 }, 'validation_failed processed'],
    [{ batchId: 'b', current: 1, processed: 1 }, 'validation_failed '],
    [{ batchId: 'b', current: 1, skipped: 0 }, 'validation_failed '],
    [{ batchId: 'b', processed: -1 }, 'validation_failed processed'],
    [{ batchId: 'b', processed: 1.5 }, 'validation_failed processed'],
    [{ batchId: 'b', processed: 2 ** 53 }, 'validation_failed processed'],
    [{ batchId: 'b', total: 'many' }, 'validation_failed total'],
    [{ batchId: 'b', current: 1, processed: 1, total: -1 }, 'validation_failed total '],
  ])('refuses %j', (value, refusal) => {
    expect(refused(worker.progress, { ...lease, ...(value as object) })).toBe(refusal);
  });
});

describe('queries', () => {
  it('of jobs take filters, repeated or not, and have defaults', () => {
    expect(validated(queries.listJobs, {}, 'query')).toEqual({ sort: '-createdAt', limit: 50 });
    expect(
      validated(
        queries.listJobs,
        {
          status: ['Queued', 'RUNNING'],
          type: 'a',
          limit: '200',
          createdAfter: '2026-01-01T00:00:00Z',
          deadLettered: 'true',
          silentForMs: '10',
        },
        'query',
      ),
    ).toEqual({
      status: ['queued', 'running'],
      type: ['a'],
      limit: 200,
      createdAfter: '2026-01-01T00:00:00.000Z',
      deadLettered: true,
      silentForMs: 10,
      sort: '-createdAt',
    });
  });

  it.each<[z.ZodType, unknown, string]>([
    [queries.listJobs, { limit: '0' }, 'validation_failed limit'],
    [queries.listJobs, { limit: '201' }, 'validation_failed limit'],
    [queries.listJobs, { limit: '1e1' }, 'validation_failed limit'],
    [queries.listJobs, { limit: '' }, 'validation_failed limit'],
    [queries.listJobs, { limit: ['1', '2'] }, 'validation_failed limit'],
    [queries.listJobs, { cursor: '' }, 'validation_failed cursor'],
    [queries.listJobs, { status: ['queued', 'lost'] }, 'validation_failed status'],
    [queries.listJobs, { status: '' }, 'validation_failed status'],
    [queries.listJobs, { sort: 'priority' }, 'validation_failed sort'],
    [queries.listJobs, { deadLettered: '1' }, 'validation_failed deadLettered'],
    [queries.listJobs, { createdBefore: 'x' }, 'validation_failed createdBefore'],
    [queries.listJobs, { silentForMs: '-1' }, 'validation_failed silentForMs'],
    [queries.listJobs, { nope: '1', Limit: '1' }, 'validation_failed nope Limit'],
    [queries.listJobs, { parentId: 'x' }, 'not_implemented parentId'],
    [queries.listDeadLetters, { deadLettered: 'true' }, 'validation_failed deadLettered'],
    [queries.counters, { asOf: '1' }, 'not_implemented asOf'],
    [queries.noQuery, { a: '1' }, 'validation_failed a'],
    [queries.listEvents, { after: '-1' }, 'validation_failed after'],
    [queries.listEvents, { after: '9223372036854775808' }, 'validation_failed after'],
    [queries.listEvents, { types: 'JobCompleted,' }, 'validation_failed types'],
    [queries.jobEvents, { order: 'down' }, 'validation_failed order'],
    [queries.getJob, { waitMs: '60001' }, 'validation_failed waitMs'],
    [queries.getJob, { asOf: 'yesterday' }, 'validation_failed asOf'],
    [queries.streamJob, { until: 'completed' }, 'validation_failed until'],
  ])('refuse wrong values by name: %#', (schema, value, refusal) => {
    expect(refused(schema, value, 'query')).toBe(refusal);
  });

  it('of events begin at the start, with types repeated or in one', () => {
    expect(validated(queries.listEvents, {}, 'query')).toEqual({ after: '0', limit: 50 });
    const types = ['JobCompleted,JobFailed', 'JobClaimed'];
    expect(validated(queries.listEvents, { after: '0042', types }, 'query')).toMatchObject({
      after: '42',
      types: ['JobCompleted', 'JobFailed', 'JobClaimed'],
    });
  });

  it('of streams begin now unless they say where', () => {
    expect(validated(queries.streamEvents, { after: '0' }, 'query')).toEqual({ after: '0' });
    expect(validated(queries.streamJobs, { queue: 'q' }, 'query')).toEqual({ queue: ['q'] });
    expect(validated(queries.streamJob, { until: 'terminal' }, 'query')).toEqual({ until: 'terminal' });
  });

  it('of a job may ask for the past by position or time', () => {
    expect(validated(queries.getJob, { asOf: '17' }, 'query').asOf).toEqual({ position: '17' });
    expect(validated(queries.getJob, { asOf: '2026-01-01T00:00:00Z' }, 'query').asOf).toEqual({
      time: '2026-01-01T00:00:00.000Z',
    });
  });
});

describe('paths and headers', () => {
  it('finds nothing under an id that is none', () => {
    expect(refused(jobId, 'nonsense', 'param')).toBe('not_found');
    expect(validated(jobId, '0190A000-0000-7000-8000-00000000000F', 'param')).toBe(
      '0190a000-0000-7000-8000-00000000000f',
    );
  });

  it('reads what the contract names', () => {
    expect(headers.idempotencyKey({ 'idempotency-key': 'a key' })).toBe('a key');
    expect(headers.idempotencyKey({ 'idempotency-key': 'a' }, ['x', 'idempotency-key', 'Idempotency-Key', 'a'])).toBe(
      'a',
    );
    expect(headers.ifMatch({ 'if-match': '"7"' })).toBe(7);
    expect(headers.ifMatch({ 'if-match': '7' })).toBe(7);
    expect(headers.minPosition({ 'x-min-position': '12' })).toBe('12');
    expect(headers.lastEventId({ 'last-event-id': '' })).toBeUndefined();
    expect(headers.lastEventId({ 'last-event-id': '12' })).toBe('12');
    expect(headers.traceparent({ traceparent: 'nonsense' })).toBeNull();
    expect(headers.ifMatch({})).toBeUndefined();
  });

  it.each<[string, () => unknown]>([
    ['Idempotency-Key', () => headers.idempotencyKey({ 'idempotency-key': '' })],
    ['Idempotency-Key', () => headers.idempotencyKey({ 'idempotency-key': 'x'.repeat(201) })],
    ['Idempotency-Key', () => headers.idempotencyKey({ 'idempotency-key': 'ü' })],
    [
      'Idempotency-Key',
      () => headers.idempotencyKey({ 'idempotency-key': 'a, b' }, ['Idempotency-Key', 'a', 'idempotency-key', 'b']),
    ],
    ['If-Match', () => headers.refuseIfMatch({ 'if-match': '1' })],
    ['If-Match', () => headers.ifMatch({ 'if-match': '*' })],
    ['If-Match', () => headers.ifMatch({ 'if-match': '"7' })],
    ['X-Min-Position', () => headers.minPosition({ 'x-min-position': '1.5' })],
    ['Last-Event-ID', () => headers.lastEventId({ 'last-event-id': 'x' })],
  ])('refuses a wrong %s', (header, read) => {
    expect(read).toThrow(
      expect.objectContaining({ code: 'validation_failed', message: expect.stringContaining(header) }),
    );
  });
});

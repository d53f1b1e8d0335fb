/** The row that appends wrote, and the row that the log says: the same bytes, whatever happened to the job. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Refused } from '../../src/commands/envelope.js';
import type { Value } from '../../src/domain/job-events.js';
import { repairRow } from '../../src/projections/jobs/repair-row.js';
import { claim, create, execute, TestLedger } from '../support/ledger.js';
import '../support/seeds.js';

const PAST = '2020-01-01T00:00:00.000Z';
const FUTURE = '2100-01-01T00:00:00.000Z';
const MAX = Number.MAX_SAFE_INTEGER;

const amount = fc.oneof(fc.nat(20), fc.constantFrom(MAX - 1, MAX));
const text = fc.constantFrom('fine', '\u0001', 'a "quoted" \\ line', '💥', 'é\n');
const value = fc
  .oneof(fc.jsonValue({ maxDepth: 2 }), text)
  .filter((json) => !JSON.stringify(json).includes('\\u0000'))
  .map((json) => json as Value);
const progress = fc.record({
  batchId: fc.constantFrom('b1', 'b2', 'b3', 'b4'),
  stage: fc.constantFrom(null, 'a', 'constructor', '__proto__', '0'),
  total: fc.option(amount),
  message: fc.option(text),
  processed: amount,
  failed: fc.nat(3),
  skipped: fc.nat(3),
  current: fc.option(amount),
});

/** What may be asked of the job next; what is refused changes nothing. */
const step = fc.oneof(
  { weight: 4, arbitrary: progress.map((said) => ['progress', said] as const) },
  { weight: 3, arbitrary: fc.constant(['claim', {}] as const) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(value, fc.nat(2))
      .map(([v, n]) => ['heartbeat', { checkpoint: { value: v, digest: `${n}` }, state: `s${n}` }] as const),
  },
  fc.boolean().map((retryable) => ['fail', { retryable, code: 'E', message: 'e', detail: { why: 1 } }] as const),
  value.map((result) => ['complete', { result }] as const),
  fc.constantFrom(
    ['release', {}] as const,
    ['throttle', { retryAfterMs: 60_000 }] as const,
    ['wait', { until: FUTURE }] as const,
    ['cancel', { force: false }] as const,
    ['cancel', { force: true }] as const,
    ['retry', {}] as const,
    ['retry', { payload: { again: true } }] as const,
    ['hold', { reason: null }] as const,
    ['resume', {}] as const,
    ['reschedule', { availableAt: PAST, reason: null }] as const,
    ['reschedule', { availableAt: FUTURE, reason: null }] as const,
    ['priority', { priority: 7, reason: null }] as const,
  ),
);

const birth = fc.record({
  payload: value,
  total: fc.option(fc.nat(50)),
  tags: fc.constantFrom([], ['x', 'y']),
  autostart: fc.boolean(),
  availableAt: fc.constantFrom(null, PAST, FUTURE),
  policy: fc.constantFrom(null, { maxLostLeases: 0 }),
});

describe('the row of a job', () => {
  let ledger: TestLedger;
  beforeAll(async () => {
    ledger = await TestLedger.open();
  });
  afterAll(() => ledger.close());

  const rowOf = async (jobId: string): Promise<unknown> =>
    (await ledger.service.pool.query('select j::text from jobledger.jobs j where id = $1', [jobId])).rows;

  it('is what replay makes of the log, to the byte', async () => {
    const { service } = ledger;
    let queues = 0;
    await fc.assert(
      fc.asyncProperty(birth, fc.array(step, { minLength: 4, maxLength: 20 }), async (spec, steps) => {
        const queue = `q${(queues += 1)}`;
        const { jobId } = await create(service, { ...spec, queue });
        let token = { run: 1, attempt: 0 };
        for (const [name, said] of [['start', {}] as const, ...steps]) {
          if (name === 'claim') {
            const [claimed] = await claim(service, { filter: { queues: [queue] } });
            if (claimed !== undefined) token = { run: claimed.outcome.run, attempt: claimed.outcome.attempt };
          } else {
            const from = 'start cancel retry hold resume reschedule priority'.includes(name) ? {} : { token };
            await execute(service, jobId, name, { ...from, ...said }).catch((error: unknown) => {
              if (!(error instanceof Refused)) throw error;
            });
          }
        }
        const row = await rowOf(jobId);
        await repairRow(service.store, service.rows, jobId);
        expect(row).toEqual(await rowOf(jobId));
      }),
      { numRuns: 60 },
    );
  });
});

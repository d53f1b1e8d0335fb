/** A log of golden events in a real database: the same bytes and hashes as they were stored once, and a job from them. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { repairRow } from '../../src/projections/jobs/repair-row.js';
import { GOLDEN_FOLDER, readGolden, recordedOf } from '../support/golden.js';
import { execute, TestLedger } from '../support/ledger.js';

describe.each(['JobRetried.v1', 'CommandRefused.v1'])('%s', (name) => {
  const golden = readGolden(`${name}.jsonl`);
  let ledger: TestLedger;
  beforeAll(async () => {
    ledger = await TestLedger.open();
    for (const event of golden) {
      const { id, type, version, data, metadata } = recordedOf(event);
      const events = [{ id, type, version, data, metadata }];
      const [result] = await ledger.service.store.append([{ stream: event.stream, expected: 'any', events }]);
      if (result?.ok !== true) throw new Error('not appended', { cause: result?.error });
    }
  });
  afterAll(() => ledger.close());

  it('is stored as it was', async () => {
    const { rows } = await ledger.service.pool.query<object>(
      `select position::text, stream, revision, id::text, type, version, data::text, metadata::text,
        encode(leaf, 'hex') as leaf from jobledger.events order by events.position`,
    );
    expect(rows).toEqual(golden.map(({ at: _, ...stored }) => stored));
  });

  it('is the job that it was, and goes on', async () => {
    const { service } = ledger;
    const then = JSON.parse(readFileSync(new URL(`${name}.job.json`, GOLDEN_FOLDER), 'utf8')) as {
      job: { id: string; status: string; run: number; attempt: number; revision: number; spec: object };
      values: object;
    };
    const { id, status, run, attempt, revision, spec } = then.job;
    const stored = await repairRow(service.store, service.rows, id);
    expect(stored).toMatchObject({ job: { status, run, attempt, revision, spec }, values: then.values });
    expect((await service.rows.load([id])).get(id)).toEqual(stored);
    expect(await execute(service, id, 'cancel', { force: true })).toMatchObject({ status: 'cancelled' });
  });
});

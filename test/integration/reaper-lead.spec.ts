/** What the row of the reaper keeps of when nobody led: by it a sweep knows that the ledger was away. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Sweeps } from '../../src/reaper/sweeps.js';
import { TestLedger } from '../support/ledger.js';

const TTL_MS = 10_000;

let ledger: TestLedger;
let [one, two]: Sweeps[] = [];
beforeAll(async () => {
  ledger = await TestLedger.open();
  [one, two] = ['one', 'two'].map((name) => new Sweeps(ledger.service.pool, name));
});
afterAll(() => ledger.close());

/** As it is after `one` renewed its lead so long ago. */
const ledAgo = (ms: number) =>
  ledger.service.pool.query(
    `update jobledger.reaper set leader = 'one', led_at = jobledger.now_ms() - $1::int * interval '1 ms',
       leads_until = jobledger.now_ms() + ($2::int - $1::int) * interval '1 ms', away_from = null, back_at = null`,
    [ms, TTL_MS],
  );
const now = async (): Promise<number> => {
  const { rows } = await ledger.service.pool.query<{ ms: string }>(
    'select (extract(epoch from jobledger.now_ms()) * 1000)::bigint as ms',
  );
  return Number(rows[0]!.ms);
};

describe('the lead', () => {
  beforeEach(() => ledAgo(TTL_MS / 2));

  it('is one instance’s at a time, and its renewal in time leaves no absence', async () => {
    expect(await two!.lead(TTL_MS)).toBe(false);
    expect(await one!.lead(TTL_MS)).toBe(true);
    expect(await one!.absence()).toBeNull();
  });

  it('that is taken over leaves the time since it was renewed last', async () => {
    const renewedAt = await now();
    await one!.lead(TTL_MS);
    await ledger.service.pool.query(`update jobledger.reaper set leads_until = jobledger.now_ms() - interval '1 ms'`);
    expect(await two!.lead(TTL_MS)).toBe(true);
    const absence = await two!.absence();
    expect(absence!.from).toBeGreaterThanOrEqual(renewedAt);
    expect(absence!.until).toBeGreaterThanOrEqual(absence!.from);
  });

  it('that was resigned leaves the time since then', async () => {
    const resignedAt = await now();
    await one!.resign();
    expect(await two!.lead(TTL_MS)).toBe(true);
    expect((await two!.absence())!.from).toBeGreaterThanOrEqual(resignedAt);
  });

  it('that is renewed too late leaves the time between', async () => {
    await ledAgo(3 * TTL_MS);
    expect(await one!.lead(TTL_MS)).toBe(true);
    const { from, until } = (await one!.absence())!;
    expect(until - from).toBeGreaterThanOrEqual(3 * TTL_MS);
  });
});

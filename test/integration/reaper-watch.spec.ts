/** How the reaper is reported, by what the database says of it and of the leases. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { MAX_GRACE_MS } from '../../src/leases/grace.js';
import type { Service } from '../../src/service.js';
import { claim, create, TestLedger } from '../support/ledger.js';

let ledger: TestLedger;
let service: Service;
beforeAll(async () => {
  ledger = await TestLedger.open();
  service = ledger.service;
});
afterAll(() => ledger.close());

/** Its last sweep was at an interval of a minute, so many seconds ago; it led since, or leads now. */
const swept = (agoS: number, { ledAgoS, leads = false }: { ledAgoS: number; leads?: boolean }): Promise<unknown> =>
  service.pool.query(
    `update jobledger.reaper set leader = 'one', sweeps = 1, interval_ms = 60000,
       away_from = null, back_at = null, last_sweep_at = jobledger.now_ms() - $1::float8 * interval '1 s',
       led_at = jobledger.now_ms() - $2::float8 * interval '1 s',
       leads_until = jobledger.now_ms() + $3::int * interval '1 min'`,
    [agoS, ledAgoS, leads ? 1 : -1],
  );

describe('the reaper', () => {
  it('is alive while one leads and sweeps in time', async () => {
    await swept(50, { ledAgoS: 1, leads: true });
    expect(await service.watch.status()).toMatchObject({ alive: true, leader: 'one' });
    expect(await service.watch.complaint()).toBeNull();
  });

  it('is absent once nobody leads for the length of a lead, however lately one swept', async () => {
    await swept(50, { ledAgoS: 11 });
    expect(await service.watch.status()).toMatchObject({ alive: false, leader: null });
    expect(await service.watch.complaint()).toMatch(/^no reaper leads since \d{4}-.*Z$/);
  });

  it('is alive while the lead goes from one to the next', async () => {
    await swept(3, { ledAgoS: 3 });
    expect(await service.watch.status()).toMatchObject({ alive: true, leader: null });
    expect(await service.watch.complaint()).toBeNull();
  });

  it('is not alive when its last sweep is too old, though it leads', async () => {
    await swept(121, { ledAgoS: 1, leads: true });
    expect(await service.watch.status()).toMatchObject({ alive: false });
    expect(await service.watch.complaint()).toMatch(/^no sweep since /);
  });
});

describe('a lease that lapsed while the ledger was away', () => {
  /** Of a minute, lapsed 10 s ago; nobody led until so many seconds ago, for 20 s. */
  const lapsedWhileAway = async (backAgoS: number): Promise<void> => {
    await swept(0, { ledAgoS: 0, leads: true });
    await service.pool.query(
      `update jobledger.reaper set away_from = jobledger.now_ms() - ($1::float8 + 20) * interval '1 s',
         back_at = jobledger.now_ms() - $1::float8 * interval '1 s'`,
      [backAgoS],
    );
    await service.pool.query(
      `update jobledger.leases set expires_at = jobledger.now_ms() - interval '10 s',
         last_beat_at = jobledger.now_ms() - interval '70 s', deadline_at = jobledger.now_ms() - interval '10 s'`,
    );
  };

  /** Epoch ms. */
  const leaseEndedAt = async (): Promise<number> => {
    const [lease] = await service.leases.due(service.clock.now(), null, 1);
    return lease!.expiresAt!;
  };
  const backAt = async (): Promise<number> => {
    const { rows } = await service.pool.query<{ at: Date }>('select back_at as at from jobledger.reaper');
    return rows[0]!.at.getTime();
  };

  /** The age that is told is that of this instant. */
  const overdueSince = async (at: number): Promise<void> => {
    const before = service.clock.now();
    const { overdue, mostOverdueMs } = await service.watch.status();
    expect(overdue).toBe(1);
    expect(mostOverdueMs).toBeGreaterThanOrEqual(before - at);
    expect(mostOverdueMs).toBeLessThanOrEqual(service.clock.now() - at);
  };

  beforeEach(async () => {
    await service.pool.query('delete from jobledger.leases');
    await create(service);
    await claim(service);
  });

  it('is not overdue while its worker has its grace', async () => {
    await lapsedWhileAway(0);
    expect(await service.watch.status()).toMatchObject({ overdue: 0, mostOverdueMs: 0 });
  });

  it('is overdue from the end of its grace on', async () => {
    await lapsedWhileAway(16);
    await overdueSince((await backAt()) + MAX_GRACE_MS);
  });

  it('is overdue from its own end on when it had lapsed before', async () => {
    await lapsedWhileAway(0);
    await service.pool.query(`update jobledger.reaper set away_from = jobledger.now_ms() - interval '9 s'`);
    await overdueSince(await leaseEndedAt());
  });

  it('is overdue in its grace too by a rule that gives none', async () => {
    await service.pool.query('delete from jobledger.leases');
    const { jobId } = await create(service, { policy: { timeoutMs: 100, stallMs: 100 } });
    await claim(service, { max: 2 });
    const { job } = (await service.rows.load([jobId])).get(jobId)!;
    while (service.clock.now() <= Date.parse(job.statusSince) + 100) await new Promise((r) => setImmediate(r));
    await lapsedWhileAway(0);
    expect((await service.watch.status()).overdue).toBe(1);
  });
});

import { describe, expect, it, jest } from '@jest/globals';
import { performance } from 'node:perf_hooks';
import { Unavailable } from '../../src/event-store/event-store.js';
import { DATABASE, LOG, Outage, unlessAway } from '../../src/outage.js';
import { type Logger, outageLog } from '../../src/process-log.js';

/** Something that answers, or does not, and what was told of it. */
const watched = () => {
  const told: string[] = [];
  let reason: string | null = null;
  const outage = new Outage(
    'the database',
    () => (reason === null ? Promise.resolve() : Promise.reject(new Error(reason))),
    {
      began: (what, error) => told.push(`${what} is away: ${(error as Error).message}`),
      ended: (what, outageMs) => told.push(`${what} is back${Number.isInteger(outageMs) ? '' : ' at no whole ms'}`),
    },
  );
  return { outage, told, set: (next: string | null) => (reason = next) };
};

describe('an outage', () => {
  it('is told once when it begins, and once when it is over', async () => {
    const { outage, told, set } = watched();
    expect(await outage.isAway()).toBe(false);
    set('cut');
    expect([await outage.isAway(), await outage.isAway()]).toEqual([true, true]);
    set('refused');
    expect(await outage.isAway()).toBe(true);
    set(null);
    expect([await outage.isAway(), await outage.isAway()]).toEqual([false, false]);
    expect(told).toEqual(['the database is away: cut', 'the database is back']);
  });

  it('lasts since the question that nobody answered', async () => {
    let answer: () => void = () => undefined;
    let refuse: (error: Error) => void = () => undefined;
    const lasted: number[] = [];
    const ask = () => new Promise<void>((resolve, reject) => ([answer, refuse] = [resolve, reject]));
    const outage = new Outage('it', ask, {
      began: () => undefined,
      ended: (_, outageMs) => lasted.push(outageMs),
    });
    let now = 0;
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => now);
    const asked = outage.isAway();
    now = 9_000;
    refuse(new Error('too slow'));
    expect(await asked).toBe(true);
    const again = outage.isAway();
    now = 10_000;
    answer();
    expect(await again).toBe(false);
    clock.mockRestore();
    expect(lasted).toEqual([10_000]);
  });

  it('explains what fails by it meanwhile, and nothing else', async () => {
    const { outage, set } = watched();
    const told: string[] = [];
    const tell = unlessAway([outage])((who: string, error: unknown) =>
      told.push(`${who}: ${(error as Error).message}`),
    );
    const settled = () => new Promise((resolve) => setImmediate(resolve));
    tell('before', new Unavailable('too slow'));
    await settled();
    set('cut');
    tell('meanwhile', new Unavailable('connection refused'));
    tell('meanwhile', new Error('a defect'));
    await settled();
    // What failed by it may be told when it is over, and nobody has looked yet.
    set(null);
    tell('meanwhile', new Unavailable('cut'));
    await settled();
    expect(await outage.isAway()).toBe(false);
    tell('after', new Unavailable('too slow'));
    await settled();
    expect(told).toEqual(['before: too slow', 'meanwhile: a defect', 'after: too slow']);
  });
});

describe('what the process says of an outage', () => {
  const said = (tellServerLog: Parameters<typeof outageLog>[1], what: string) => {
    const lines: object[] = [];
    const log: Partial<Logger> = { warn: (fields: object) => void lines.push(fields) };
    outageLog(log as Logger, tellServerLog).began(what, new Error('the database system is starting up'));
    return lines;
  };
  const reason = 'the database system is starting up';
  const server = 'its own log, /data/server.log, says last: PANIC: No space left on device';
  const tell = () => server;

  it.each([
    ['names what the embedded server says', tell, DATABASE, { reason, server }],
    ['is what is known of a log that is elsewhere', tell, LOG, { reason }],
    ['is what is known of a database that somebody else runs', undefined, DATABASE, { reason }],
  ])('%s', (_, tellServerLog, what, fields) => {
    expect(said(tellServerLog, what)).toEqual([fields]);
  });
});

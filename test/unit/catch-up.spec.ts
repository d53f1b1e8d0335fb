import { describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { RecordedEvent } from '../../src/event-store/event-store.js';
import { catchUpStreams, catchUpToShow, type CatchUpDependencies } from '../../src/projections/jobs/catch-up.js';
import { PageRows } from '../../src/projections/jobs/page-rows.js';
import { rowFollower } from '../../src/projections/jobs/row-follower.js';
import type { Tx } from '../../src/projections/transaction.js';

/** There are none to take away. */
const rows = { drop: () => Promise.resolve() };

/** Jobs that have neither rows nor events, and how many of them were looked for at once. */
const nowhere = () => {
  const looked: string[] = [];
  let now = 0;
  let most = 0;
  const query = async ({ values: [jobId] }: { values: readonly [string] }) => {
    looked.push(jobId);
    most = Math.max(most, (now += 1));
    await setImmediate();
    now -= 1;
    return { rows: [] };
  };
  const store = { head: () => Promise.resolve({ position: '0' }), readStream: () => Promise.resolve([]) };
  return { on: { pool: { query }, store, rows } as unknown as CatchUpDependencies, looked, most: () => most };
};

const ids = Array.from({ length: 1_000 }, () => randomUUID());

describe('rows of a thousand jobs that are brought to the end of the log', () => {
  it.each([
    ['of streams', (on: CatchUpDependencies) => catchUpStreams(on, [...ids.map((id) => `job-${id}`), 'refusals-x'])],
    ['to be shown', (on: CatchUpDependencies) => catchUpToShow(on, ids)],
  ])('%s are so a few at a time: the others wait for no connection', async (_, bring) => {
    const { on, looked, most } = nowhere();
    await bring(on);
    expect(looked).toEqual(ids);
    expect(most()).toBe(20);
  });
});

describe('a reader of the log that brings rows on', () => {
  it('says that its transaction lives meanwhile: idle for too long it would be ended, and begun again', async () => {
    let heard: () => void = () => undefined;
    const alive = new Promise<void>((resolve) => (heard = resolve));
    const store = { head: () => Promise.resolve({ position: '0' }), readStream: () => Promise.resolve([]) };
    const query = async () => {
      await alive;
      return { rows: [] };
    };
    const on = { pool: { query }, store, rows } as unknown as CatchUpDependencies;
    const tx: Tx = {
      schema: 'jobledger',
      query: ({ text }) => {
        if (text === 'select') heard();
        return Promise.resolve([]);
      },
    };
    // Of a job that did not begin in the page: it is read from its streams.
    const event = { stream: `job-${ids[0]}`, revision: 7, position: '1', at: '2026-01-01T00:00:00.000Z' };
    await rowFollower(on, Date.now).apply([event as RecordedEvent], tx);
  });

  it('leaves to its writer a row that knows of the page by the time that it is read: nothing is asked of the log', async () => {
    const [id] = ids;
    const event = { stream: `job-${id}`, revision: 7, position: '9', at: '2026-01-01T00:00:00.000Z' } as RecordedEvent;
    const statements: string[] = [];
    const tx: Tx = {
      schema: 'jobledger',
      query: <Row>({ name = '' }) => {
        statements.push(name);
        return Promise.resolve([{ id, revision: '8', position: '11', work_revision: null }] as Row[]);
      },
    };
    const asked: string[] = [];
    const ask = (jobs: readonly string[]): Promise<void> => Promise.resolve(void asked.push(...jobs));
    await new PageRows().write([{ id: id!, events: [event] }], tx, ask, true);
    expect([statements, asked]).toEqual([['jobs-of-page'], []]);
  });
});

/** Streams against a server that cuts them anywhere. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { JobledgerClient, NotFoundError, type StreamFrame } from '../../src/client/client.js';
import { FakeClock } from '../support/fake-clock.js';
import { ScriptedLedger, answer, loseAnswer, problem, stream } from '../support/scripted-ledger.js';

const EVENTS = 'GET /v1/streams/events';
const RECONNECT_MS = 500;
const event = (position: number, data: unknown = { position }): string =>
  `id: ${position}\nevent: JobQueued\ndata: ${JSON.stringify(data)}\n\n`;
const caughtUp = (position: number): string => `event: caught-up\ndata: {"position":"${position}"}\n\n`;

let ledger: ScriptedLedger;
let clock: FakeClock;
let client: JobledgerClient;

beforeEach(async () => {
  ledger = await ScriptedLedger.start();
  clock = new FakeClock();
  client = new JobledgerClient({ baseUrl: ledger.url, clock });
});
afterEach(() => ledger.close());

const take = async <T>(frames: AsyncIterable<StreamFrame<T>>, count: number): Promise<StreamFrame<T>[]> => {
  const taken: StreamFrame<T>[] = [];
  for await (const frame of frames) if (taken.push(frame) === count) break;
  return taken;
};
const resumedFrom = (): unknown[] => ledger.requests.map(({ headers }) => headers['last-event-id']);

describe('a stream', () => {
  it('gives its frames, whatever pieces they come in', async () => {
    const bytes = Buffer.from(`: hb\n\n${event(7, { name: 'Zoë 🙂' })}${caughtUp(9)}`);
    ledger.script(
      EVENTS,
      stream(
        [...bytes].map((byte) => Uint8Array.of(byte)),
        'open',
      ),
    );
    expect(await take(client.streamEvents({ after: '6', types: ['JobQueued'], queue: ['a', 'b'] }), 2)).toEqual([
      { kind: 'data', data: { name: 'Zoë 🙂' }, position: '7' },
      { kind: 'caught-up', position: '9' },
    ]);
    expect(ledger.requests[0]?.query.toString()).toBe('after=6&types=JobQueued&queue=a&queue=b');
    expect(ledger.requests[0]?.headers.accept).toBe('text/event-stream');
  });

  it('cut in the middle of a frame goes on behind the last whole one', async () => {
    ledger.script(
      EVENTS,
      stream([event(1), event(2), event(3).slice(0, -4)], 'cut'),
      loseAnswer,
      problem(503, 'unavailable'),
      stream([event(3), event(4)], 'open'),
    );
    const lost: unknown[] = [];
    const frames = take(client.streamEvents({ after: '0' }, { onDisconnect: (cause) => lost.push(cause) }), 4);
    for (const ms of [RECONNECT_MS, 2 * RECONNECT_MS, 4 * RECONNECT_MS]) await clock.elapse(ms);
    expect(await frames).toMatchObject(['1', '2', '3', '4'].map((position) => ({ kind: 'data', position })));
    expect(resumedFrom()).toEqual([undefined, '2', '2', '2']);
    expect(lost).toHaveLength(3);
  });

  it('cut before its first event goes on behind where it was caught up', async () => {
    ledger.script(EVENTS, stream([caughtUp(40)], 'end'), stream([event(41)], 'open'));
    const frames = take(client.streamEvents(), 2);
    await clock.elapse(RECONNECT_MS);
    await frames;
    expect(resumedFrom()).toEqual([undefined, '40']);
  });

  it('shows a gap, and goes on behind it', async () => {
    ledger.script(
      EVENTS,
      stream([event(1), 'event: gap\ndata: {"from":"1","to":"900"}\n\n'], 'end'),
      stream([event(901)], 'open'),
    );
    const frames = take(client.streamEvents({ after: '0' }), 3);
    await clock.elapse(RECONNECT_MS);
    expect((await frames)[1]).toEqual({ kind: 'gap', from: '1', to: '900' });
    expect(resumedFrom()).toEqual([undefined, '900']);
  });

  it('that falls silent is connected anew', async () => {
    ledger.script(EVENTS, stream([event(1)], 'open'), stream([event(2)], 'open'));
    const frames = client.streamEvents({ after: '0' });
    await frames.next();
    const next = frames.next();
    await clock.elapse(45_000);
    await ledger.hungUp(EVENTS);
    await clock.elapse(RECONNECT_MS);
    expect((await next).value).toMatchObject({ position: '2' });
    await frames.return();
  });

  it('waits as long as the server asks before it reconnects', async () => {
    ledger.script(EVENTS, stream(['retry: 3000\n\n', event(1)], 'cut'), stream([event(2)], 'open'));
    const frames = take(client.streamEvents({ after: '0' }), 2);
    await clock.elapse(3_000);
    expect(await frames).toHaveLength(2);
  });

  it('ends with its signal, while it waits for a frame and while it waits to reconnect', async () => {
    for (const then of ['open', 'cut'] as const) {
      ledger.script(EVENTS, stream([event(1)], then));
      const abort = new AbortController();
      const frames = client.streamEvents({ after: '0' }, { signal: abort.signal });
      await frames.next();
      const next = frames.next();
      await clock.waiting(then === 'open' ? 45_000 : RECONNECT_MS);
      abort.abort();
      expect(await next).toEqual({ done: true, value: undefined });
    }
  });

  it('left by its reader hangs up', async () => {
    ledger.script(EVENTS, stream([event(1)], 'open'));
    await take(client.streamEvents(), 1);
    await ledger.hungUp(EVENTS);
  });

  it('that is refused throws why', async () => {
    ledger.script('GET /v1/jobs/j1/stream', problem(404, 'not_found'));
    await expect(client.streamJob('j1').next()).rejects.toBeInstanceOf(NotFoundError);
  });

  it('that is no JSON throws instead of reading it again and again', async () => {
    ledger.script(EVENTS, stream(['id: 1\ndata: {oops\n\n'], 'open'));
    await expect(client.streamEvents().next()).rejects.toMatchObject({ name: 'SyntaxError' });
  });
});

describe('the stream of a job until terminal', () => {
  const STREAM = 'GET /v1/jobs/j1/stream';
  const job = (finishedAt: string | null, position: string): unknown => ({ id: 'j1', finishedAt, position });

  it('ends when the job has ended and all of it was given', async () => {
    ledger
      .script(STREAM, stream([event(1)], 'end'), stream([event(2)], 'end'), stream([event(3)], 'end'))
      .script('GET /v1/jobs/j1', answer(job(null, '1')), answer(job('2026-01-31T12:00:00.000Z', '3')));
    const positions: unknown[] = [];
    const reading = (async () => {
      for await (const frame of client.streamJob('j1', { until: 'terminal' })) positions.push(frame);
    })();
    await clock.elapse(RECONNECT_MS);
    await clock.elapse(RECONNECT_MS);
    await reading;
    expect(positions).toHaveLength(3);
    expect(ledger.requests[0]?.query.get('until')).toBe('terminal');
  });
});

describe('a stream of snapshots', () => {
  it('begins with one at each connect', async () => {
    const counters = 'event: counters\ndata: {"total":1}\n\n';
    ledger.script('GET /v1/streams/counters', stream([counters, caughtUp(5)], 'cut'), stream([counters], 'open'));
    const frames = take(client.streamCounters(), 3);
    await clock.elapse(RECONNECT_MS);
    expect((await frames)[2]).toEqual({ kind: 'data', data: { total: 1 }, position: null });
    expect(resumedFrom()).toEqual([undefined, undefined]);
  });
});

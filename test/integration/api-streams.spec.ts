/* eslint-disable @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-return
   -- answers are looked into by name. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Caller, startApp, type TestApp } from '../support/app.js';
import { type SseFrame, SseReader } from '../support/sse-reader.js';

let app: TestApp;
let call: Caller;
const readers: SseReader[] = [];
beforeAll(async () => {
  app = await startApp();
  call = new Caller(app.url);
});
afterEach(() => {
  for (const reader of readers.splice(0)) reader.close();
});
afterAll(() => app.close());

const open = async (path: string, headers: Record<string, string> = {}): Promise<SseReader> => {
  const reader = await SseReader.open(`${app.url}${path}`, headers);
  readers.push(reader);
  return reader;
};
const isCaughtUp = (frames: readonly SseFrame[]): boolean => frames.some(({ event }) => event === 'caught-up');
const has =
  (event: string, count = 1) =>
  (frames: readonly SseFrame[]): boolean =>
    frames.filter((frame) => frame.event === event).length >= count;
const withIds = (frames: readonly SseFrame[]): readonly SseFrame[] => frames.filter(({ id }) => id !== null);

const finish = async (queue: string): Promise<string> => {
  const { jobId } = await call.create({ queue });
  const claimed = await call.claim(queue);
  await call.worker(claimed, 'progress', { batchId: 'b', processed: 1 });
  await call.worker(claimed, 'complete');
  return jobId;
};

const LIFE = ['JobCreated', 'JobQueued', 'JobClaimed', 'JobStarted', 'ProgressRecorded', 'JobCompleted'];

describe('the stream of events', () => {
  it('shows what happens from now on, as the log has it', async () => {
    const { position } = await call.create({ queue: 'before' });
    const reader = await open('/v1/streams/events');
    expect(reader.headers.get('content-type')).toContain('text/event-stream');
    await reader.until(isCaughtUp);
    await finish('s1');
    await reader.until(has('JobCompleted'));
    const shown = withIds(reader.frames);
    expect(shown.map(({ event }) => event)).toEqual(LIFE);
    const { items } = (await call.get(`/v1/events?after=${position}`)).body;
    expect(shown.map(({ data }) => data)).toEqual(items);
    expect(shown.map(({ id }) => id)).toEqual(items.map((event: any) => event.position));
  });

  it('resumes with nothing missed and nothing twice; the header wins', async () => {
    const first = await open('/v1/streams/events?after=0');
    await finish('s2');
    await first.until(isCaughtUp);
    const seen = withIds(first.frames);
    const middle = seen[Math.floor(seen.length / 2)]!;
    const second = await open('/v1/streams/events?after=0', { 'last-event-id': middle.id! });
    await second.until(isCaughtUp);
    const { items } = (await call.get(`/v1/events?after=${middle.id}&limit=200`)).body;
    expect(withIds(second.frames).map(({ data }) => data)).toEqual(items);
    for (const [path, headers] of [
      ['/v1/streams/events?after=99999999', {}],
      ['/v1/streams/jobs?after=99999999', {}],
      ['/v1/streams/events', { 'last-event-id': '99999999' }],
      ['/v1/streams/events?after=x', {}],
    ] as const) {
      expect([path, (await open(path, headers)).status]).toEqual([path, 400]);
    }
  });

  it('is filtered by type of event, and by the job', async () => {
    const byType = await open('/v1/streams/events?types=JobCompleted');
    const byQueue = await open('/v1/streams/events?queue=s3&types=JobCreated,JobCompleted');
    await Promise.all([byType.until(isCaughtUp), byQueue.until(isCaughtUp)]);
    await finish('other');
    const jobId = await finish('s3');
    await Promise.all([byType.until(has('JobCompleted', 2)), byQueue.until(has('JobCompleted'))]);
    expect(withIds(byType.frames).map(({ event }) => event)).toEqual(['JobCompleted', 'JobCompleted']);
    expect(withIds(byQueue.frames).map(({ event, data }) => [event, data.jobId])).toEqual([
      ['JobCreated', jobId],
      ['JobCompleted', jobId],
    ]);
  });
});

describe('the stream of a job', () => {
  it('begins with its history, goes on live, and ends after the end of the run when asked', async () => {
    const { jobId } = await call.create({ queue: 's4' });
    const reader = await open(`/v1/jobs/${jobId}/stream?until=terminal`);
    await reader.until(isCaughtUp);
    expect(withIds(reader.frames).map(({ event }) => event)).toEqual(['JobCreated', 'JobQueued']);
    const claimed = await call.claim('s4');
    await call.worker(claimed, 'progress', { batchId: 'b', processed: 1 });
    await call.worker(claimed, 'complete');
    expect(withIds(await reader.end()).map(({ event }) => event)).toEqual(LIFE);
    const later = await open(`/v1/jobs/${jobId}/stream?until=terminal&types=JobClaimed`);
    expect(withIds(await later.end()).map(({ event }) => event)).toEqual(['JobClaimed']);
    const atEnd = await open(`/v1/jobs/${jobId}/stream?until=terminal`, {
      'last-event-id': reader.frames.findLast(({ id }) => id !== null)!.id!,
    });
    expect(withIds(await atEnd.end())).toEqual([]);
  });

  it('of a job that was retried does not end at the end of its first run', async () => {
    const { jobId } = await call.create({ queue: 's5' });
    await call.post(`/v1/jobs/${jobId}/cancel`);
    await call.post(`/v1/jobs/${jobId}/retry`);
    const reader = await open(`/v1/jobs/${jobId}/stream?until=terminal`);
    await reader.until(isCaughtUp);
    await call.post(`/v1/jobs/${jobId}/cancel`);
    expect(withIds(await reader.end()).map(({ event }) => event)).toEqual([
      ...['JobCreated', 'JobQueued', 'JobCancelled', 'JobRetried', 'JobQueued', 'JobCancelled'],
    ]);
  });
});

describe('the stream of jobs', () => {
  it('shows whole jobs as they change', async () => {
    const reader = await open('/v1/streams/jobs?queue=s6');
    await reader.until(isCaughtUp);
    const jobId = await finish('s6');
    await reader.until((frames) => frames.at(-1)?.data.status === 'completed');
    const shown = withIds(reader.frames);
    expect(new Set(shown.map(({ event, data }) => `${event} ${data.id}`))).toEqual(new Set([`job ${jobId}`]));
    const ids = shown.map(({ id }) => BigInt(id!));
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => (a < b ? -1 : 1)));
    expect(shown.at(-1)!.data).toEqual((await call.get(`/v1/jobs/${jobId}`)).body);
  });

  it('after a resume shows each job that changed once, in the order of its last position, which is its id', async () => {
    const { position } = await call.create({ queue: 's7' });
    const first = (await call.create({ queue: 's7' })).jobId;
    const second = await finish('s7b');
    await call.post(`/v1/jobs/${first}/priority`, { priority: 1 });
    const reader = await open(`/v1/streams/jobs?after=${position}`);
    await reader.until(isCaughtUp);
    const shown = withIds(reader.frames);
    expect(shown.map(({ data }) => data.id)).toEqual([second, first]);
    for (const { id, data } of shown) expect(data.position).toBe(id);
  });
});

describe('the stream of counters', () => {
  it('shows a snapshot, then changes, without ids', async () => {
    const reader = await open('/v1/streams/counters');
    await reader.until(has('counters'));
    expect(reader.frames[0]!.data).toMatchObject({ byStatus: {}, byQueue: {}, byType: {} });
    const { position } = await call.create({ queue: 's8' });
    const isCounted = ({ event, data }: SseFrame): boolean =>
      event === 'counters' && BigInt(data.position) >= BigInt(position);
    const counted = (await reader.until((frames) => frames.some(isCounted))).find(isCounted)!;
    expect(counted.data.byQueue.s8).toEqual({ queued: 1 });
    expect(reader.frames.every(({ id }) => id === null)).toBe(true);
    expect((await open('/v1/streams/counters?x=1')).status).toBe(400);
  });
});

describe('stopping', () => {
  it('does not wait for connections that were opened ahead of need', async () => {
    const other = await startApp();
    const socket = connect(Number(new URL(other.url).port), '127.0.0.1');
    await once(socket, 'connect');
    await new Caller(other.url).get('/health/live');
    const gone = once(socket, 'close');
    await other.close();
    await gone;
  });

  it('ends streams and long polls, and answers what is in flight', async () => {
    const other = await startApp();
    const caller = new Caller(other.url);
    const { jobId } = await caller.create({ queue: 'stays' });
    const stream = await SseReader.open(`${other.url}/v1/streams/events`);
    await stream.until(isCaughtUp);
    const poll = caller.post('/v1/claims', { workerId: 'w', queues: ['none'], waitMs: 60_000 });
    const wait = caller.get(`/v1/jobs/${jobId}?waitMs=60000`);
    // Another claim that is answered proves that the first has arrived, and a read that the other has.
    await caller.post('/v1/claims', { workerId: 'w', queues: ['none'] });
    await caller.get(`/v1/jobs/${jobId}`);
    const closed = other.close();
    expect((await poll).body).toEqual({ jobs: [], blocked: [] });
    expect((await wait).body.status).toBe('queued');
    await stream.end();
    await closed;
  });
});

/** Streams tell every event once and in order, or say what they left out. */
import { expect } from '@jest/globals';
import type { Gap, Job, LedgerEvent } from '../../src/api/contract.js';
import { useCluster } from '../support/e2e/cluster.js';
import type { Cluster } from '../support/e2e/running-cluster.js';
import { readLog } from '../support/e2e/read-ledger.js';
import { type Frame, SseReader } from '../support/e2e/sse.js';
import { waitFor } from '../support/e2e/wait.js';
import { claim, createJob, createJobs, hold, Holder, readJob } from '../support/e2e/work.js';

const { scenario } = useCluster();

const headOf = async (cluster: Cluster): Promise<string> => {
  const lane = cluster.recorder.lane('reader');
  const { headers } = await lane.ask(cluster.node(0), 'GET', '/v1/jobs?limit=1');
  return String(headers['x-position']);
};

const eventsSince = (cluster: Cluster, after: string): Promise<readonly LedgerEvent[]> =>
  readLog(cluster.recorder.lane('reader'), cluster.node(1), after);

const idsOf = (frames: readonly Frame[]) => frames.map(({ id }) => id);
const positionsOf = (events: readonly LedgerEvent[]) => events.map(({ position }) => position);

/** Appends at least as many events: two with each create, in calls of 100. */
const append = async (cluster: Cluster, events: number): Promise<void> => {
  for (let made = 0; made < events; made += 200) await createJobs(cluster, 100, { queue: 'streamed' });
};

scenario(
  'a reader that is dropped again and again resumes during 5,000 events: each once, in order [ACC-11]',
  async (cluster) => {
    const start = await headOf(cluster);
    const received: Frame[] = [];
    let last = start;
    const done = new AbortController();
    const reading = (async () => {
      for (let drop = 0; !done.signal.aborted; drop += 1) {
        const reader = await SseReader.open(cluster.node(drop % 2), '/v1/streams/events', last);
        await waitFor('some events', () => done.signal.aborted || reader.events.length > 150);
        reader.close();
        received.push(...reader.events);
        last = received.at(-1)?.id ?? last;
      }
    })();
    await append(cluster, 5_000);
    const expected = positionsOf(await eventsSince(cluster, start));
    await waitFor('most events to be read', () => received.length > expected.length - 300);
    done.abort();
    await reading;
    const rest = await SseReader.open(cluster.node(0), '/v1/streams/events', last);
    await waitFor('the rest', () => received.length + rest.events.length >= expected.length);
    await rest.until('the end', ({ event }) => event === 'caught-up');
    rest.close();
    expect(idsOf([...received, ...rest.events])).toEqual(expected);
  },
);

scenario('a live reader of the jobs of one queue is shown each change of them [ACC-11]', async (cluster) => {
  const reader = await SseReader.open(cluster.node(1), '/v1/streams/events?queue=watched', await headOf(cluster));
  await reader.until('live', ({ event }) => event === 'caught-up');
  await createJob(cluster, { queue: 'unwatched' });
  const { jobId } = await createJob(cluster, { queue: 'watched' });
  await (await hold(cluster, 'w', { queues: ['watched'] })).must('complete');
  await reader.until('the end', ({ event }) => event === 'JobCompleted');
  reader.close();
  expect(reader.events.map(({ event }) => event)).toEqual([
    'JobCreated',
    'JobQueued',
    'JobClaimed',
    'JobStarted',
    'JobCompleted',
  ]);
  expect(new Set(reader.events.map(({ data }) => (data as LedgerEvent).jobId))).toEqual(new Set([jobId]));
});

scenario('subscribing in the instant of the terminal event misses nothing [ACC-11]', async (cluster) => {
  await createJobs(cluster, 40, { queue: 'instant' });
  const claimed = await claim(cluster, 'w', { queues: ['instant'], max: 40 });
  await Promise.all(
    claimed.map(async (one, n) => {
      const holder = new Holder(cluster, 'w', one);
      const [reader] = await Promise.all([
        SseReader.open(cluster.node(n % 2), `/v1/jobs/${holder.jobId}/stream?until=terminal`),
        holder.must('complete'),
      ]);
      await waitFor('the stream to end', () => reader.hasEnded);
      expect(reader.events.map(({ event }) => event)).toEqual([
        'JobCreated',
        'JobQueued',
        'JobClaimed',
        'JobStarted',
        'JobCompleted',
      ]);
    }),
  );
});

const READERS = 10;
const BULK = 150;
/** With 10 readers that take nothing, what all of them together wait for is ten times as much. */
const BULK_BYTES = 200_000;

const residentBytes = async (cluster: Cluster): Promise<number> => {
  const lane = cluster.recorder.lane('operator');
  const { body } = await lane.ask<string>(cluster.node(0), 'GET', '/metrics');
  return Number(/^process_resident_memory_bytes (\S+)$/m.exec(body)?.[1]);
};

scenario('slow readers miss nothing unsaid, and cost no memory [ACC-11]', async (cluster) => {
  const start = await headOf(cluster);
  const opening = Array.from({ length: READERS }, () => SseReader.open(cluster.node(0), '/v1/streams/events', start));
  const readers = await Promise.all(opening);
  for (const reader of readers) {
    await reader.until('live', ({ event }) => event === 'caught-up');
    reader.pause();
  }
  const before = await residentBytes(cluster);
  for (let n = 0; n < BULK; n += 1) {
    await createJob(cluster, { queue: 'bulky', payload: 'x'.repeat(BULK_BYTES) });
  }
  expect((await residentBytes(cluster)) - before).toBeLessThan((READERS * BULK * BULK_BYTES) / 2);
  const { position: end } = await createJob(cluster, { queue: 'bulky' });
  for (const reader of readers) reader.resume();
  const expected = positionsOf(await eventsSince(cluster, start));
  for (const reader of readers) {
    await waitFor('its last event', () => reader.lastId === end);
    reader.close();
    const missed = reader.frames.filter(({ event }) => event === 'gap').map(({ data }) => data as Gap);
    const isMissed = (position: string) =>
      missed.some(({ from, to }) => BigInt(position) > BigInt(from) && BigInt(position) <= BigInt(to));
    expect(idsOf(reader.events)).toEqual(expected.filter((position) => !isMissed(position)));
  }
});

scenario('a reader of jobs that resumes is shown each changed job once, as it is now [ACC-11]', async (cluster) => {
  const ids = await createJobs(cluster, 30, { queue: 'shown' });
  const start = await headOf(cluster);
  const claimed = await claim(cluster, 'w', { queues: ['shown'], max: 20 });
  for (const one of claimed) await new Holder(cluster, 'w', one).must('progress', { batchId: 'b', processed: 1 });
  for (const one of claimed.slice(0, 10)) await new Holder(cluster, 'w', one).must('complete');
  const reader = await SseReader.open(cluster.node(0), '/v1/streams/jobs?queue=shown', start);
  await reader.until('live', ({ event }) => event === 'caught-up');
  reader.close();
  const shown = reader.events.map(({ data }) => data as Job);
  expect(shown.map(({ id }) => id).sort()).toEqual(claimed.map(({ job }) => job.id).sort());
  for (const [n, job] of shown.entries()) {
    expect(reader.events[n]!.id).toBe(job.position);
    expect(await readJob(cluster, job.id)).toMatchObject({ position: job.position, status: job.status });
  }
  expect(ids).toHaveLength(30);
});

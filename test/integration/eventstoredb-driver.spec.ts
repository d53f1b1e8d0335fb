/** What the client of EventStoreDB does, seen through the driver; the same over the fake and a real server. */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { EventStoreDriver, StoredEvent, WireEvent } from '../../src/event-store/eventstoredb/driver.js';
import { openDriver } from '../../src/event-store/eventstoredb/open-driver.js';
import { StreamDeleted, TooLarge, Unavailable, Unsupported } from '../../src/event-store/event-store.js';
import { waitFor } from '../support/e2e/wait.js';
import { FakeEventStoreDb } from '../support/eventstoredb/fake-server.js';
import { TEST_SERVERS } from '../support/eventstoredb/logs.js';

const event = (text = ''): WireEvent => ({
  id: randomUUID(),
  type: 'Happened',
  data: { text },
  metadata: new TextEncoder().encode('{"by":"a test"}'),
});
const stream = (): string => `driver-${randomUUID()}`;
const idsOf = (events: readonly StoredEvent[]): string[] => events.map(({ id }) => id);
const forwards = { direction: 'forwards', limit: 100 } as const;
const backwards = { direction: 'backwards', limit: 100 } as const;

describe('a driver that is closed', () => {
  let server: FakeEventStoreDb;
  /** Sockets of connections to the server, of either end: other files of this process leave some of their own behind. */
  const sockets = (): number => {
    const { _getActiveHandles: handles } = process as unknown as {
      readonly _getActiveHandles: () => readonly Partial<Socket>[];
    };
    const port = Number(new URL(server.url).port);
    return handles().filter(
      ({ remotePort, localPort }) => remotePort !== undefined && [remotePort, localPort].includes(port),
    ).length;
  };
  beforeEach(async () => {
    server = await FakeEventStoreDb.start();
  });
  afterEach(() => server.stop());

  it('leaves no call and no connection, after breaks and with calls on their way too', async () => {
    const driver = await openDriver(server.url);
    const stop = driver.subscribeToEnd(
      () => undefined,
      () => undefined,
    );
    await driver.append(stream(), -1, [event()]);
    server.dropCalls();
    await waitFor('an append after the break', () =>
      driver.append(stream(), -1, [event()]).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    expect(sockets()).toBeGreaterThan(0);
    const onTheirWay = [driver.append(stream(), -1, [event()]), driver.readStream(stream(), forwards)];
    stop();
    await driver.close();
    await Promise.allSettled(onTheirWay);
    await waitFor('every socket to be closed', () => server.openCalls === 0 && sockets() === 0);
  });
});

describe.each(TEST_SERVERS)('a driver on $name', ({ start }) => {
  let server: Awaited<ReturnType<typeof start>>;
  let driver: EventStoreDriver;
  beforeAll(async () => {
    server = await start();
    driver = await openDriver(server.url);
  });
  afterAll(async () => {
    await driver.close();
    server.stop();
  });

  /** Appends, and answers with the position of the last event. */
  const written = async (name: string, expected: number, ...events: WireEvent[]): Promise<bigint> => {
    const result = await driver.append(name, expected, events);
    if (!result.ok) throw new Error(`the stream is at ${result.actual}`);
    return result.position;
  };

  it('appends at a revision, and says where the stream is when it is another', async () => {
    const [name, first, second, third] = [stream(), event(), event(), event()];
    expect(await driver.append(name, 0, [first])).toEqual({ ok: false, actual: -1 });
    expect(await driver.append(name, -1, [first, second])).toMatchObject({ ok: true, revision: 1 });
    expect(await driver.append(name, 0, [third])).toEqual({ ok: false, actual: 1 });
    expect(await driver.append(name, 7, [third])).toEqual({ ok: false, actual: 1 });
    expect(await driver.append(name, 1, [third])).toMatchObject({ ok: true, revision: 2 });
  });

  it('answers ids that stand at the place with their position, whatever follows', async () => {
    const [name, first, second] = [stream(), event(), event()];
    const position = await written(name, -1, first, second);
    await written(name, 1, event());
    expect(await driver.append(name, -1, [first, second])).toEqual({ ok: true, revision: 1, position });
    expect(await driver.append(name, 0, [second])).toEqual({ ok: true, revision: 1, position });
    for (const other of [
      [first, event()],
      [second, first],
      [first, second, event(), event()],
    ]) {
      expect(await driver.append(name, -1, other)).toMatchObject({ ok: false, actual: 2 });
    }
    expect(await driver.append(name, 0, [first])).toMatchObject({ ok: false, actual: 2 });
  });

  it('reads a stream in both directions', async () => {
    const [name, ...events] = [stream(), event('é😀'), event('b'), event('c')];
    await written(name, -1, ...events);
    const read = await driver.readStream(name, forwards);
    expect(read.map(({ id, type, data, metadata }) => ({ id, type, data, metadata }))).toEqual(
      events.map((sent) => ({ ...sent, metadata: { by: 'a test' } })),
    );
    expect(read.map(({ revision }) => revision)).toEqual([0, 1, 2]);
    expect(read[0]!.position < read[1]!.position && read[1]!.position < read[2]!.position).toBe(true);
    expect(idsOf(await driver.readStream(name, { ...forwards, from: 1 }))).toEqual(idsOf(read).slice(1));
    expect(await driver.readStream(name, { ...forwards, from: 3 })).toEqual([]);
    expect(idsOf(await driver.readStream(name, { ...backwards, limit: 2 }))).toEqual(idsOf(read).slice(1).reverse());
    expect(idsOf(await driver.readStream(name, { ...backwards, from: 1 }))).toEqual(idsOf(read).slice(0, 2).reverse());
    expect(await driver.readStream(stream(), forwards)).toEqual([]);
    expect(await driver.readStream(stream(), backwards)).toEqual([]);
  });

  it('reads every stream from the position of an event: with it forwards, without it backwards', async () => {
    const [name, ...events] = [stream(), event(), event(), event()];
    const last = await written(name, -1, ...events);
    const middle = (await driver.readStream(name, forwards))[1]!.position;
    const ids = idsOf(events as unknown as StoredEvent[]);
    expect(idsOf(await driver.readAll({ ...forwards, from: middle }))).toEqual(ids.slice(1));
    expect(idsOf(await driver.readAll({ ...backwards, limit: 1, from: middle }))).toEqual(ids.slice(0, 1));
    expect(idsOf(await driver.readAll({ ...backwards, limit: 2 }))).toEqual(ids.slice(1).reverse());
    expect(await driver.readAll({ ...forwards, from: last + 1_000_000n })).toEqual([]);
    await expect(driver.readAll({ ...backwards, from: last + 1_000_000n })).rejects.toThrow(Unsupported);
    await expect(driver.readAll({ ...forwards, from: middle + 1n })).rejects.toThrow(Unsupported);
    expect(await driver.readAll({ ...backwards, from: 0n })).toEqual([]);
  });

  it('refuses a stream that was deleted for good', async () => {
    const name = stream();
    await written(name, -1, event());
    await driver.tombstone(name);
    await expect(driver.append(name, 0, [event()])).rejects.toThrow(StreamDeleted);
    await expect(driver.readStream(name, forwards)).rejects.toThrow(StreamDeleted);
  });

  it('refuses an append over 1 MiB, and takes one just below', async () => {
    await expect(driver.append(stream(), -1, [event('x'.repeat(1_048_576))])).rejects.toThrow(TooLarge);
    await written(stream(), -1, event('x'.repeat(1_048_000)));
  });

  it('calls back after an event that comes, until it is stopped', async () => {
    const name = stream();
    let heard = 0;
    let hear: () => void = () => undefined;
    const stop = driver.subscribeToEnd(
      () => {
        heard += 1;
        hear();
      },
      (error) => {
        throw error;
      },
    );
    let revision = -1;
    const next = new Promise<void>((resolve) => (hear = resolve));
    // The subscription begins somewhere between: so one event after the other until one is heard.
    const isHeard = (): boolean => heard > 0;
    while (!isHeard()) {
      await written(name, revision, event());
      revision += 1;
      await Promise.race([next, new Promise((resolve) => setImmediate(resolve))]);
    }
    stop();
    const before = heard;
    await written(name, revision, event());
    await written(name, revision + 1, event());
    expect(heard).toBe(before);
  });
});

describe('a server that fails', () => {
  let server: FakeEventStoreDb;
  let driver: EventStoreDriver;
  beforeEach(async () => {
    server = await FakeEventStoreDb.start();
    driver = await openDriver(server.url, { timeoutMs: 1_000 });
  });
  afterEach(async () => {
    server.thaw();
    await driver.close();
    server.stop();
  });

  const attempt = (name: string, one = event()) => driver.append(name, -1, [one]);

  it('is unavailable while it starts, and serves afterwards', async () => {
    server.isStarting = true;
    await expect(attempt(stream())).rejects.toThrow(Unavailable);
    server.isStarting = false;
    expect(await attempt(stream())).toMatchObject({ ok: true });
  });

  it('is unavailable while it is away, for appends and reads, and serves afterwards', async () => {
    const name = stream();
    await attempt(name);
    server.stop();
    await expect(attempt(stream())).rejects.toThrow(Unavailable);
    await expect(driver.readStream(name, forwards)).rejects.toThrow(Unavailable);
    await expect(driver.readAll(forwards)).rejects.toThrow(Unavailable);
    await server.start();
    await expect(driver.readStream(name, forwards)).resolves.toHaveLength(1);
    await expect(attempt(stream())).resolves.toMatchObject({ ok: true });
  });

  it('that lost the answer of an append gives it when the same is sent again', async () => {
    const [name, one] = [stream(), event()];
    await attempt(stream());
    server.answersToLose = 1;
    await expect(attempt(name, one)).rejects.toThrow(Unavailable);
    expect(await attempt(name, one)).toMatchObject({ ok: true, revision: 0 });
    expect(await driver.readStream(name, forwards)).toHaveLength(1);
  });

  it('that went silent is unavailable in time, and leaves no call behind', async () => {
    await attempt(stream());
    await driver.readAll(forwards);
    const before = server.openCalls;
    server.freeze();
    const asked = [attempt(stream()), driver.readAll(forwards), driver.readStream(stream(), backwards)];
    for (const result of await Promise.allSettled(asked)) {
      expect(result.status === 'rejected' && result.reason).toBeInstanceOf(Unavailable);
    }
    server.thaw();
    expect(await attempt(stream())).toMatchObject({ ok: true });
    expect(server.openCalls).toBe(before);
  });

  it('that is no leader any more forwards appends, and sends who reads to the one that is', async () => {
    await attempt(stream());
    const leader = await FakeEventStoreDb.start(server.log);
    try {
      server.leaderPort = leader.port;
      const [name, one] = [stream(), event()];
      expect(await attempt(name, one)).toMatchObject({ ok: true, revision: 0 });
      await expect(driver.readStream(name, forwards)).rejects.toThrow(Unavailable);
      expect(await driver.readStream(name, forwards)).toHaveLength(1);
      expect(leader.appends).toBe(0);
      await waitFor('the appends to go there', () =>
        attempt(stream()).then(
          () => leader.appends > 0,
          () => false,
        ),
      );
    } finally {
      leader.stop();
    }
  });

  it('that is no leader any more is not read: it may not have yet what was answered elsewhere', async () => {
    await driver.readAll(forwards);
    const leader = await FakeEventStoreDb.start();
    const elsewhere = await openDriver(leader.url);
    try {
      server.leaderPort = leader.port;
      const name = stream();
      await elsewhere.append(name, -1, [event()]);
      await expect(driver.readStream(name, forwards)).rejects.toThrow(Unavailable);
      expect(await driver.readStream(name, forwards)).toHaveLength(1);
      expect((await driver.readAll(forwards)).map((stored) => stored.stream)).toContain(name);
    } finally {
      await elsewhere.close();
      leader.stop();
    }
  });

  it('that answers what was given up when another connection broke is appended to as before', async () => {
    const other = await FakeEventStoreDb.start();
    const elsewhere = await openDriver(other.url);
    try {
      await elsewhere.append(stream(), -1, [event()]);
      const [held, one] = [stream(), event()];
      server.isHeld = (name) => name === held;
      const appending = attempt(held, one);
      await waitFor('the append', () => server.log.read(held) !== undefined);
      // The client gives up whatever waits, on every connection of the process.
      other.dropCalls();
      await expect(appending).rejects.toThrow(Unavailable);
      server.answerHeld();
      server.isHeld = () => false;
      expect(await attempt(held, one)).toMatchObject({ ok: true, revision: 0 });
      expect(await attempt(stream())).toMatchObject({ ok: true, revision: 0 });
    } finally {
      await elsewhere.close();
      other.stop();
    }
  });

  it('is not hurt by reads without end of streams that do not exist', async () => {
    for (let n = 0; n < 1_500; n += 50) {
      const reads = Array.from({ length: 50 }, () => driver.readStream(stream(), backwards));
      expect((await Promise.all(reads)).flat()).toEqual([]);
    }
  });

  it('that drops a subscription says so once', async () => {
    const failures: Error[] = [];
    await new Promise<void>((resolve) => {
      driver.subscribeToEnd(
        () => server.dropCalls(),
        (error) => {
          failures.push(error);
          resolve();
        },
      );
      const write = async (): Promise<void> => {
        while (failures.length === 0) await attempt(stream()).catch(() => undefined);
      };
      void write();
    });
    await attempt(stream());
    expect(failures).toEqual([expect.any(Unavailable)]);
  });
});

describe('a connection string', () => {
  it.each([
    ['postgresql://localhost', 'begins neither with esdb:// nor kurrentdb://'],
    ['esdb://user:secret@host:port', /^the connection string cannot be read(?!.*secret)/],
    [
      'esdb://user:secret@localhost:2113?tls=true&tlsCAFile=%2Fnone.crt',
      /^the connection string cannot be read: tlsCAFile: ENOENT: .*'\/none.crt'$/,
    ],
    ['esdb://localhost:2113?throwOnAppendFailure=false', 'throwOnAppendFailure must stay true'],
    ['kurrentdb://localhost:2113', '@kurrent/kurrentdb-client is not installed: npm install @kurrent/kurrentdb-client'],
  ])('%s is refused', async (url, message) => {
    const opening = openDriver(url);
    await expect(opening).rejects.toThrow(Unsupported);
    await expect(opening).rejects.toThrow(message);
  });
});

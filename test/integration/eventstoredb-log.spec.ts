/** What the second log does when its server, its process, or the time between two statements fails. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { AppendRequest, Position, RecordedEvent } from '../../src/event-store/event-store.js';
import { beside } from '../../src/event-store/beside-table.js';
import { comparePositions, START, Unavailable, Unsupported } from '../../src/event-store/event-store.js';
import type { EventStoreDriver } from '../../src/event-store/eventstoredb/driver.js';
import type {
  EventStoreDbConfig,
  EventStoreDbEventStore,
} from '../../src/event-store/eventstoredb/eventstoredb-event-store.js';
import { openDriver } from '../../src/event-store/eventstoredb/open-driver.js';
import { createLogPool } from '../../src/event-store/postgres/connection.js';
import { waitFor } from '../support/e2e/wait.js';
import { EsdbLog } from '../support/eventstoredb/esdb-log.js';
import { FakeEventStoreDb } from '../support/eventstoredb/fake-server.js';
import { keyTable } from '../support/key-table.js';
import { appendOne, newEvent, request, succeeded } from '../support/postgres-log.js';

let server: FakeEventStoreDb;
let log: EsdbLog;
let store: EventStoreDbEventStore;

beforeEach(async () => {
  server = await FakeEventStoreDb.start();
  log = await EsdbLog.create(server.url);
  store = await log.store({ pollMs: 50, retryForMs: 500 });
});
afterEach(async () => {
  server.thaw();
  await log.close();
  server.stop();
});

const stream = (): string => `log-${randomUUID()}`;
const keyed = (name: string, key: string, expected: AppendRequest['expected'] = 'noStream'): AppendRequest => ({
  ...request(name, expected),
  beside: [beside(keyTable, { key })],
});
const idsOf = (events: readonly { readonly id: string }[]): string[] => events.map(({ id }) => id);
const lengths = (names: readonly string[]): Promise<number[]> =>
  Promise.all(names.map(async (name) => (await store.readStream(name)).length));
const positionOf = async (key: string): Promise<Position | null | undefined> => {
  const { rows } = await log.database.query<{ position: string | null }>(
    'select position from jobledger.test_keys where key = $1',
    [key],
  );
  return rows[0]?.position;
};

const timeOf = async (key: string): Promise<string | undefined> => {
  const { rows } = await log.database.query<{ at: Date }>('select at from jobledger.test_keys where key = $1', [key]);
  return rows[0]?.at.toISOString();
};

/** A process that can be frozen between what it takes first and its append. */
const frozenStore = async (config: Partial<EventStoreDbConfig> = {}) => {
  const driver = await openDriver(server.url);
  let thawed = Promise.resolve();
  let thaw = (): void => undefined;
  const slow: EventStoreDriver = Object.assign(Object.create(driver) as EventStoreDriver, {
    ...{ readStream: driver.readStream.bind(driver), readAll: driver.readAll.bind(driver) },
    close: () => driver.close(),
    append: async (...args: Parameters<EventStoreDriver['append']>) => {
      await thawed;
      return driver.append(...args);
    },
  });
  return {
    store: await log.store({ ...config, driver: slow }),
    freeze: <T>(run: () => T): T => {
      thawed = new Promise((resolve) => (thaw = resolve));
      return run();
    },
    thaw: () => thaw(),
  };
};

/** A process that dies at its append: before the server has it, or after, with the answer on its way. */
const dyingStore = async (at: 'before' | 'after', pool = log.database): Promise<EventStoreDbEventStore> => {
  const driver = await openDriver(server.url);
  const dying: EventStoreDriver = {
    ...{ readStream: driver.readStream.bind(driver), readAll: driver.readAll.bind(driver) },
    ...{ subscribeToEnd: driver.subscribeToEnd.bind(driver), tombstone: driver.tombstone.bind(driver) },
    close: () => driver.close(),
    append: async (...args) => {
      if (at === 'after') await driver.append(...args);
      throw new Error('the process died');
    },
  };
  return log.store({ driver: dying, pool });
};

describe('an append whose answer is lost', () => {
  it('is sent again, and is written once with its rows', async () => {
    const [name, key] = [stream(), randomUUID()];
    await appendOne(store, request(stream()));
    server.answersToLose = 1;
    const { position } = { position: (await appendOne(store, keyed(name, key))).last };
    expect(await lengths([name])).toEqual([1]);
    expect(await positionOf(key)).toBe(position);
    expect(await log.intents()).toBe(0);
  });

  it('is not repeated in a stream that expects any revision', async () => {
    const name = stream();
    await appendOne(store, request(name));
    server.answersToLose = 1;
    expect((await appendOne(store, request(name))).revision).toBe(1);
    expect(await lengths([name])).toEqual([2]);
  });

  it('costs the others of its call nothing', async () => {
    const names = Array.from({ length: 30 }, stream);
    server.answersToLose = 1;
    const results = await store.append(names.map((name) => request(name, 'noStream')));
    expect(results.map((result) => succeeded(result).revision)).toEqual(names.map(() => 0));
    expect(await lengths(names)).toEqual(names.map(() => 1));
  });
});

describe('an append that is not answered', () => {
  /** One that waits for no answer for long. */
  const impatient = async (config: Partial<EventStoreDbConfig> = {}, timeoutMs = 200) =>
    log.store({ driver: await openDriver(server.url, { timeoutMs }), retryForMs: 0, ...config });
  const unavailable = { ok: false, error: expect.any(Unavailable) };

  it('is so alone: the others of its call have their results and rows, and its repeat is what was written', async () => {
    const [held, key] = [stream(), randomUUID()];
    const one = request(held, 'noStream');
    const others = [keyed(stream(), key), request(stream())];
    const some = await impatient();
    server.isHeld = (name) => name === held;
    const results = await some.append([others[0]!, one, others[1]!]);
    expect(results[1]).toEqual(unavailable);
    expect(succeeded(results[2]).revision).toBe(0);
    expect(await positionOf(key)).toBe(succeeded(results[0]).last);
    server.isHeld = () => false;
    const { revision, first } = await appendOne(some, one);
    expect([revision, first]).toEqual([0, (await store.readStream(held))[0]!.position]);
    expect(await lengths([held])).toEqual([1]);
  });

  it('with a row is finished by whoever recovers', async () => {
    const [held, key] = [stream(), randomUUID()];
    server.isHeld = (name) => name === held;
    const results = await (await impatient()).append([keyed(held, key), request(stream())]);
    expect([results[0], await log.intents(), await positionOf(key)]).toEqual([unavailable, 1, null]);
    server.isHeld = () => false;
    expect(await store.recover(0)).toBe(1);
    expect(await positionOf(key)).toBe((await store.readStream(held))[0]!.position);
    expect(await lengths([held])).toEqual([1]);
  });

  it('leaves nothing known of its group', async () => {
    const [held, two] = [stream(), stream()];
    server.isHeld = (name) => name === held;
    const group = [held, two].map((name) => ({ ...request(name, 'noStream'), group: 1 }));
    const results = await (await impatient()).append([...group, request(stream())]);
    expect(results.slice(0, 2)).toEqual([unavailable, unavailable]);
    expect(succeeded(results[2]).revision).toBe(0);
    server.isHeld = () => false;
    expect([await store.recover(0), await lengths([held, two])]).toEqual([1, [1, 1]]);
  });

  it('keeps the others no longer than its log is patient, and its stream in order', async () => {
    const held = stream();
    const some = await impatient({ patienceMs: 50 }, 60_000);
    server.isHeld = (name) => name === held;
    const results = await some.append([request(held), request(stream())]);
    expect([results[0], succeeded(results[1]).revision]).toEqual([unavailable, 0]);
    server.isHeld = () => false;
    const next = some.append([request(held)]);
    server.dropCalls();
    expect((await next)[0]).toEqual(expect.objectContaining({ ok: true, revision: 1 }));
  });

  it('is told to its caller alone when nothing else was asked', async () => {
    server.isHeld = () => true;
    await expect((await impatient()).append([request(stream()), request(stream())])).rejects.toThrow(Unavailable);
  });
});

describe('requests for one stream that expect any revision', () => {
  it('are one append, and each has its own places', async () => {
    const name = stream();
    const requests = Array.from({ length: 20 }, (_, n) =>
      request(name, 'any', n === 7 ? [newEvent(), newEvent()] : undefined),
    );
    const before = server.appends;
    const results = (await store.append(requests)).map(succeeded);
    expect(server.appends - before).toBe(1);
    const there = await store.readStream(name);
    expect(idsOf(there)).toEqual(requests.flatMap(({ events }) => idsOf(events)));
    expect(results.flatMap(({ positions }) => positions)).toEqual(there.map(({ position }) => position));
    expect(results.map(({ revision }) => revision)).toEqual(requests.map((_, n) => (n < 7 ? n : n + 1)));
  });

  it('that are too large together are appended all the same', async () => {
    const name = stream();
    const large = { ...newEvent(), data: { text: 'x'.repeat(300_000) } };
    const requests = Array.from({ length: 5 }, () => request(name, 'any', [{ ...large, id: randomUUID() }]));
    expect((await store.append(requests)).map((result) => succeeded(result).revision)).toEqual([0, 1, 2, 3, 4]);
  });
});

describe('a log that is away', () => {
  it('fails the append; what was recorded is finished when it is back, by any process', async () => {
    const [name, key] = [stream(), randomUUID()];
    server.stop();
    await expect(store.append([keyed(name, key)])).rejects.toThrow(Unavailable);
    expect([await positionOf(key), await log.intents()]).toEqual([null, 1]);
    await server.start();
    const other = await log.store();
    expect(await other.recover(0)).toBe(1);
    const [event] = await store.readStream(name);
    expect([await positionOf(key), await log.intents()]).toEqual([event!.position, 0]);
  });

  it('is written again unaided, and subscriptions go on where they were', async () => {
    const name = stream();
    const seen: RecordedEvent[] = [];
    const stop = new AbortController();
    const following = (async () => {
      for await (const item of store.subscribe({
        after: START,
        signal: stop.signal,
        filter: { streamPrefixes: [name] },
      })) {
        if ('caughtUp' in item) continue;
        seen.push(...item);
        if (seen.length === 4) stop.abort();
      }
    })();
    await appendOne(store, request(name, 'noStream', [newEvent(), newEvent()]));
    server.stop();
    await expect(store.append([request(name)])).rejects.toThrow(Unavailable);
    await server.start();
    await appendOne(store, request(name, 'any', [newEvent()]));
    server.dropCalls();
    await appendOne(store, request(name, 'any', [newEvent()]));
    await following;
    expect(idsOf(seen)).toEqual(idsOf(await store.readStream(name)));
  });

  it('that freezes fails what waits, and what it was sent is written once', async () => {
    const driver = await openDriver(server.url, { timeoutMs: 300 });
    const impatient = await log.store({ driver, retryForMs: 0 });
    const one = request(stream(), 'noStream');
    await appendOne(impatient, request(stream()));
    server.freeze();
    await expect(impatient.append([one])).rejects.toThrow(Unavailable);
    server.thaw();
    expect((await appendOne(impatient, one)).revision).toBe(0);
    expect(await lengths([one.stream])).toEqual([1]);
  });
});

describe('a cluster whose leader changes', () => {
  it('again and again is written on: nothing is lost, nothing is there twice, and nobody starts anew', async () => {
    const other = await FakeEventStoreDb.start(server.log);
    const [seen, names] = [[] as RecordedEvent[], Array.from({ length: 12 }, stream)];
    const stop = new AbortController();
    const following = (async () => {
      for await (const item of store.subscribe({ after: START, signal: stop.signal })) {
        if (!('caughtUp' in item)) seen.push(...item.filter((one) => names.includes(one.stream)));
        if (seen.length === 4 * names.length) stop.abort();
      }
    })();
    const patient = await log.store({ pollMs: 50 });
    const stopListening = patient.onAppended(() => undefined);
    try {
      for (let round = 0; round < 4; round += 1) {
        const requests = names.map((name) => request(name, round === 0 ? 'noStream' : round - 1));
        const appending = patient.append(requests);
        const [leader, follower] = round % 2 === 0 ? [other, server] : [server, other];
        [follower.leaderPort, leader.leaderPort] = [leader.port, undefined];
        // The one that was the leader ends what it has begun, with an answer on its way.
        follower.answersToLose = 1;
        follower.dropCalls();
        expect((await appending).map((result) => succeeded(result).revision)).toEqual(names.map(() => round));
      }
      await following;
      expect(await lengths(names)).toEqual(names.map(() => 4));
      expect(new Set(idsOf(seen)).size).toBe(4 * names.length);
    } finally {
      stopListening();
      stop.abort();
      other.stop();
    }
  });
});

describe('a process that dies', () => {
  it.each(['before', 'after'] as const)('%s its append leaves an intent that another finishes', async (at) => {
    const dying = await dyingStore(at);
    const [one, two, key] = [stream(), stream(), randomUUID()];
    const group = [request(one, 'noStream', [newEvent(), newEvent()]), keyed(two, key)].map((r) => ({
      ...r,
      group: 1,
    }));
    await expect(dying.append(group)).rejects.toThrow('the process died');
    expect(await log.intents()).toBe(1);
    expect(await store.recover(0)).toBe(1);
    expect(await lengths([one, two])).toEqual([2, 1]);
    expect(await positionOf(key)).toBe((await store.readStream(two))[0]!.position);
    expect([await store.recover(0), await log.intents()]).toEqual([0, 0]);
  });

  it.each(['before', 'after'] as const)(
    '%s a keyed append to any revision has it written once or never',
    async (at) => {
      const dying = await dyingStore(at);
      const [name, key] = [stream(), randomUUID()];
      await appendOne(store, request(name));
      await expect(dying.append([keyed(name, key, 'any')])).rejects.toThrow('the process died');
      await appendOne(store, request(name));
      expect(await store.recover(0)).toBe(1);
      // What it rested on may have ended since: what did not reach the log is given up, and the key is free again.
      expect(await lengths([name])).toEqual([at === 'before' ? 2 : 3]);
      expect(await positionOf(key)).toBe(at === 'before' ? undefined : (await store.readStream(name))[1]!.position);
    },
  );

  it('whose revision was taken meanwhile took nothing', async () => {
    const dying = await dyingStore('before');
    const [name, key] = [stream(), randomUUID()];
    await expect(dying.append([keyed(name, key)])).rejects.toThrow('the process died');
    await appendOne(store, request(name, 'noStream'));
    expect(await store.recover(0)).toBe(1);
    expect(await log.hasKey(key)).toBe(false);
    expect(await lengths([name])).toEqual([1]);
  });

  it('has its rows written with the times that its events have, by one whose clock is later', async () => {
    const dying = await dyingStore('after');
    let now = Date.now() + 60_000;
    const later = await log.store({ clock: () => now });
    const [name, key] = [stream(), randomUUID()];
    // It knows where the stream ends, as a process that worked on the job does.
    const { revision } = await appendOne(later, request(name));
    await expect(dying.append([keyed(name, key, revision)])).rejects.toThrow('the process died');
    now += 1_000;
    expect(await later.recover(0)).toBe(1);
    expect(await timeOf(key)).toBe((await store.readStream(name)).at(-1)!.at);
  });

  it('was only slow: it and who finished for it wrote once, and both say the same', async () => {
    const slow = await frozenStore({ clock: () => Date.parse('2020-01-01') });
    const [name, key] = [stream(), randomUUID()];
    const { revision } = await appendOne(slow.store, request(name));
    const appending = slow.freeze(() => slow.store.append([keyed(name, key, revision)]));
    await waitFor('its intent', async () => (await log.intents()) === 1);
    expect(await store.recover(0)).toBe(1);
    slow.thaw();
    const { at, last } = succeeded((await appending)[0]);
    const there = await store.readStream(name);
    expect(there).toHaveLength(2);
    expect([last, at]).toEqual([there.at(-1)!.position, there.at(-1)!.at]);
    expect([await positionOf(key), await timeOf(key)]).toEqual([last, at]);
  });

  it('was only slow: of a group that another finished it leaves the rows alone', async () => {
    const slow = await frozenStore();
    const [one, two, key] = [stream(), stream(), randomUUID()];
    const group = [request(one, 'noStream'), keyed(two, key)].map((r) => ({ ...r, group: 1 }));
    const appending = slow.freeze(() => slow.store.append(group));
    await waitFor('its intent', async () => (await log.intents()) === 1);
    expect(await store.recover(0)).toBe(1);
    slow.thaw();
    const results = (await appending).map(succeeded);
    const there = await Promise.all([one, two].map((name) => store.readStream(name)));
    expect(results.map(({ positions }) => positions)).toEqual(there.map((s) => s.map(({ position }) => position)));
    expect(await positionOf(key)).toBe(there[1]!.at(-1)!.position);
    expect(await log.intents()).toBe(0);
  });

  it('was only slow: a key that was given up is not taken from who has it since', async () => {
    const slow = await frozenStore();
    const [name, key] = [stream(), randomUUID()];
    await appendOne(store, request(name));
    const appending = slow.freeze(() => slow.store.append([keyed(name, key, 'any')]));
    await waitFor('its intent', async () => (await log.intents()) === 1);
    expect(await store.recover(0)).toBe(1);
    const { last } = await appendOne(store, keyed(stream(), key));
    slow.thaw();
    await appending;
    expect(await positionOf(key)).toBe(last);
  });

  it('is known by its connection, which is gone: what it left is finished at once', async () => {
    const pool = createLogPool({ connectionString: log.databaseUrl });
    const dying = await dyingStore('before', pool);
    const [name, key] = [stream(), randomUUID()];
    await expect(dying.append([keyed(name, key)])).rejects.toThrow('the process died');
    expect(await store.recover(60_000)).toBe(0);
    await pool.end();
    await waitFor('the intent to be finished', async () => (await store.recover(60_000)) === 1);
    expect(await positionOf(key)).toBe((await store.readStream(name))[0]!.position);
  });

  it('is not dead while it works, however slowly, on its own or on what another left: it says so', async () => {
    const touched = async (): Promise<number | undefined> => {
      const { rows } = await log.database.query<{ at: Date }>('select touched_at as at from jobledger.intents');
      return rows[0]?.at.getTime();
    };
    const isKept = async (): Promise<void> => {
      const before = await waitFor('the intent', touched);
      await waitFor('it to be kept', async () => ((await touched()) ?? 0) > before);
    };
    const slow = await frozenStore({ keepMs: 10 });
    const [name, key] = [stream(), randomUUID()];
    const appending = slow.freeze(() => slow.store.append([keyed(name, key)]));
    await isKept();
    slow.thaw();
    await appending;
    const dying = await dyingStore('before');
    await expect(dying.append([keyed(stream(), randomUUID())])).rejects.toThrow('the process died');
    const recovering = slow.freeze(() => slow.store.recover(0));
    await isKept();
    slow.thaw();
    expect(await recovering).toBe(1);
  });

  it('is not taken for dead while it works: its intent is fresh', async () => {
    const dying = await dyingStore('before');
    await expect(dying.append([keyed(stream(), randomUUID())])).rejects.toThrow('the process died');
    expect(await store.recover(60_000)).toBe(0);
    expect(await log.intents()).toBe(1);
  });
});

describe('the order of the log', () => {
  it('passes over what the server and others wrote, and reads it once', async () => {
    const name = stream();
    const driver = await openDriver(server.url);
    let reads = 0;
    const counting = Object.assign(Object.create(driver) as EventStoreDriver, {
      append: driver.append.bind(driver),
      readStream: driver.readStream.bind(driver),
      close: () => driver.close(),
      readAll: async (options: Parameters<EventStoreDriver['readAll']>[0]) => {
        const events = await driver.readAll(options);
        reads += events.length;
        return events;
      },
    });
    const counted = await log.store({ driver: counting });
    const { last } = await appendOne(counted, request(name));
    for (let n = 0; n < 3_000; n += 1) server.log.note();
    await driver.append('somebody-else', -1, [
      { id: randomUUID(), type: 'Foreign', data: {}, metadata: new TextEncoder().encode('{}') },
    ]);
    expect((await counted.head()).position).toBe(last);
    const page = await counted.readAll({ after: START, limit: 10 });
    expect(idsOf(page.events)).toEqual(idsOf(await store.readStream(name)));
    expect((await counted.readAll({ after: last, limit: 10 })).next).toBe(last);
    reads = 0;
    expect(await counted.readAll({ after: last, limit: 10 })).toEqual({ events: [], next: last });
    expect((await counted.head()).position).toBe(last);
    expect(reads).toBeLessThan(50);
    const next = await appendOne(store, request(name));
    expect((await counted.readAll({ after: last, limit: 10 })).next).toBe(next.last);
  });

  it('is told from what was heard to whoever follows it, and read by whoever does not', async () => {
    const driver = await openDriver(server.url);
    let reads = 0;
    const counted = await log.store({
      driver: Object.assign(Object.create(driver) as EventStoreDriver, {
        ...{ append: driver.append.bind(driver), readStream: driver.readStream.bind(driver) },
        ...{ subscribeToEnd: driver.subscribeToEnd.bind(driver), close: () => driver.close() },
        readAll: (options: Parameters<EventStoreDriver['readAll']>[0]) => {
          reads += 1;
          return driver.readAll(options);
        },
      }),
    });
    counted.onAppended(() => undefined);
    const first = await appendOne(counted, request(stream()));
    const behind = { after: first.last, limit: 1_000 };
    // An event of somebody else's is heard as one's own; after a second of silence the log is read.
    const heard = await waitFor('a page of what was heard', async () => {
      const { last } = await appendOne(store, request(stream()));
      reads = 0;
      const page = await counted.readAll({ ...behind, following: true });
      const hash = await counted.hashAt(last);
      return reads === 0 && page.next === last && { page, hash, last };
    });
    expect(heard.hash).toBe(await store.hashAt(heard.last));
    expect(await counted.readAll(behind)).toEqual(heard.page);
    expect(reads).toBe(1);
  });

  it('tells of named streams each event once, also one that was appended while they were read', async () => {
    const name = stream();
    await appendOne(store, request(name));
    const driver = await openDriver(server.url);
    let isFirst = true;
    const overtaken = await log.store({
      driver: Object.assign(Object.create(driver) as EventStoreDriver, {
        close: () => driver.close(),
        readAll: driver.readAll.bind(driver),
        readStream: async (...args: Parameters<EventStoreDriver['readStream']>) => {
          // The head is known, and the streams are not read yet.
          if (isFirst) await appendOne(store, request(name));
          isFirst = false;
          return driver.readStream(...args);
        },
      }),
    });
    const told: RecordedEvent[] = [];
    for (let after = START, isEnd = false; !isEnd;) {
      const { events, next } = await overtaken.readAll({ after, limit: 10, filter: { streams: [name, stream()] } });
      told.push(...events);
      after = next;
      isEnd = told.length >= 2 && events.length === 0;
    }
    expect(idsOf(told)).toEqual(idsOf(await store.readStream(name)));
  });

  it('refuses a position at which no event stands', async () => {
    const { last } = await appendOne(store, request(stream()));
    const between = String(BigInt(last) - 1n);
    await expect(store.readAll({ after: between, limit: 1 })).rejects.toThrow(Unsupported);
  });

  it('shows a log that was restored and went on: its digest at a position is another', async () => {
    await appendOne(store, request(stream()));
    const { position, hash } = await store.head();
    const restored = await FakeEventStoreDb.start();
    const otherLog = await EsdbLog.create(restored.url);
    const other = await otherLog.store();
    expect(await other.hashAt(position)).toBeNull();
    while (comparePositions((await other.head()).position, position) < 0) await appendOne(other, request(stream()));
    expect(await other.hashAt(position)).not.toBe(hash);
    await otherLog.close();
    restored.stop();
  });
});

describe('recorded time', () => {
  it('never falls along a stream, whichever process writes and whatever its clock says', async () => {
    const name = stream();
    const ahead = await log.store({ clock: () => Date.parse('2030-01-01') });
    const behind = await log.store({ clock: () => Date.parse('2020-01-01') });
    for (let round = 0; round < 5; round += 1) {
      await Promise.all([behind, ahead, store].map((one) => one.append([request(name), request(name)])));
    }
    const times = (await store.readStream(name)).map(({ at }) => at);
    expect(times).toHaveLength(30);
    expect([...times].sort()).toEqual(times);
    const { revision } = await appendOne(behind, request(name));
    expect((await appendOne(behind, request(name, revision))).at).toBe('2030-01-01T00:00:00.000Z');
  });
});

it('refuses a group that would append to streams which others may write', async () => {
  const name = stream();
  await appendOne(store, request(name));
  const group = [request(name, 0), request(stream(), 'noStream')].map((one) => ({ ...one, group: 1 }));
  await expect(store.append(group)).rejects.toThrow(Unsupported);
});

it('keeps correlation and causation under the names that the server reads', async () => {
  const name = stream();
  const metadata = { correlationId: 'c', causationId: null, commandId: 'k', actor: { id: 'x' } };
  await appendOne(store, request(name, 'noStream', [{ ...newEvent(), metadata }]));
  const stored = JSON.parse(Buffer.from(server.log.all.at(-1)!.metadata).toString()) as object;
  expect(stored).toMatchObject({
    $correlationId: 'c',
    $causationId: 'k',
    causationId: null,
    jobledger: { version: 1 },
  });
  expect((await store.readStream(name))[0]!.metadata).toEqual(metadata);
});

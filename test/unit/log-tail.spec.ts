/** The tail of the log: everything after a position, once and in order, whoever is slow. */
import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  Unavailable,
  type EventStore,
  type JsonObject,
  type Page,
  type ReadAllOptions,
  type RecordedEvent,
} from '../../src/event-store/event-store.js';
import { MemoryEventStore } from '../../src/event-store/memory/memory-event-store.js';
import { LogTail, type FollowOptions } from '../../src/projections/log-tail.js';

let memory: MemoryEventStore;

beforeEach(() => {
  memory = new MemoryEventStore({ clock: () => 0 });
});

const append = async (count: number, type = 'Happened', data: JsonObject = {}): Promise<void> => {
  const events = Array.from({ length: count }, () => ({ id: randomUUID(), type, version: 1, data, metadata: {} }));
  const [result] = await memory.append([{ stream: 'job-1', expected: 'any', events }]);
  if (result?.ok !== true) throw new Error('not appended');
};

const positions = (events: readonly RecordedEvent[]): readonly number[] =>
  events.map(({ position }) => Number(position));

const between = (first: number, last: number): readonly number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await turn();
};

/** A store whose reads pass a gate. */
const gated = (pass: (options: ReadAllOptions) => Promise<void>): EventStore => ({
  append: (requests) => memory.append(requests),
  readStream: (stream, options) => memory.readStream(stream, options),
  readAll: async (options): Promise<Page> => {
    await pass(options);
    return memory.readAll(options);
  },
  subscribe: (options) => memory.subscribe(options),
  head: () => memory.head(),
  hashAt: (position) => memory.hashAt(position),
  onAppended: (listener) => memory.onAppended(listener),
  close: () => memory.close(),
});

/** Reads as fast as it is given, and can be told to wait. */
class Reader {
  readonly seen: number[] = [];
  readonly caughtUp: string[] = [];
  readonly stop = new AbortController();
  readonly ended: Promise<void>;
  private gate: Promise<void> | undefined;
  private open = (): void => undefined;

  constructor(tail: LogTail, after: string, filter?: FollowOptions['filter']) {
    this.ended = this.read(tail.readThenFollow(after, { signal: this.stop.signal, ...(filter && { filter }) }));
  }

  halt(): void {
    this.gate ??= new Promise((resolve) => (this.open = resolve));
  }

  go(): void {
    this.gate = undefined;
    this.open();
  }

  private async read(items: ReturnType<LogTail['readThenFollow']>): Promise<void> {
    for await (const item of items) {
      if ('caughtUp' in item) this.caughtUp.push(item.caughtUp);
      else this.seen.push(...positions(item));
      await this.gate;
    }
  }
}

describe('a listener of the tail', () => {
  it('hears what is appended after it began, each event once and in order', async () => {
    const tail = new LogTail(memory);
    await append(3);
    expect(tail.current()).toBeNull();
    const early: number[] = [];
    const late: number[] = [];
    const stopEarly = tail.subscribe((events) => void early.push(...positions(events)));
    await tail.started();
    expect(tail.current()).toBe('3');
    await append(2);
    await until(() => tail.current() === '5');
    const stopLate = tail.subscribe((events) => void late.push(...positions(events)));
    await append(2);
    await until(() => tail.current() === '7');
    stopEarly();
    await append(1);
    await until(() => tail.current() === '8');
    stopLate();
    expect([early, late]).toEqual([between(4, 7), between(6, 8)]);
  });

  it('that begins while others are told is not told of that', async () => {
    const tail = new LogTail(memory);
    const inner: number[] = [];
    let nested = false;
    tail.subscribe(() => {
      if (!nested) tail.subscribe((events) => void inner.push(...positions(events)));
      nested = true;
    });
    await tail.started();
    await append(1);
    await until(() => nested);
    await append(1);
    await until(() => tail.current() === '2');
    expect(inner).toEqual([2]);
  });

  it('that throws keeps nobody else from hearing', async () => {
    const errors: unknown[] = [];
    const tail = new LogTail(memory, { onError: (error) => void errors.push(error) });
    const heard: number[] = [];
    tail.subscribe(() => {
      throw new Error('deaf');
    });
    tail.subscribe((events) => void heard.push(...positions(events)));
    await tail.started();
    await append(1);
    await until(() => heard.length === 1);
    await append(1);
    await until(() => heard.length === 2);
    expect(errors.map(String)).toEqual(['Error: deaf', 'Error: deaf']);
  });

  it('is served by one subscription of the log, which ends with the last and begins with the next', async () => {
    let subscriptions = 0;
    const signals: AbortSignal[] = [];
    const store = gated(() => Promise.resolve());
    const tail = new LogTail({
      ...store,
      subscribe: (options) => {
        subscriptions += 1;
        signals.push(options.signal);
        return memory.subscribe(options);
      },
    });
    const heard: number[] = [];
    const stops = [1, 2, 3].map(() => tail.subscribe((events) => void heard.push(...positions(events))));
    await tail.started();
    stops.forEach((stop) => stop());
    await append(1);
    expect(tail.current()).toBeNull();
    const stop = tail.subscribe((events) => void heard.push(...positions(events)));
    await tail.started();
    await append(1);
    await until(() => heard.length > 0);
    stop();
    stop();
    expect(heard).toEqual([2]);
    expect(subscriptions).toBe(2);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  });

  it('hears everything although the log was away', async () => {
    let failures = 3;
    const away = (): void => {
      failures -= 1;
      if (failures >= 0) throw new Unavailable('away');
    };
    const tail = new LogTail({
      ...gated(() => Promise.resolve()),
      head: async () => {
        if (failures > 1) away();
        return memory.head();
      },
      async *subscribe(options) {
        for await (const item of memory.subscribe(options)) {
          yield item;
          if (failures > 0) away();
        }
      },
    });
    const heard: number[] = [];
    tail.subscribe((events) => void heard.push(...positions(events)));
    await tail.started();
    for (let n = 0; n < 5; n += 1) await append(1);
    await until(() => heard.length >= 5);
    expect(heard).toEqual(between(1, 5));
    expect(failures).toBe(0);
  });
});

describe('a reader of the log that goes on with the tail', () => {
  it('sees everything after its position, says once that it has caught up, and ends by its signal', async () => {
    await append(1_203);
    const tail = new LogTail(memory);
    const reader = new Reader(tail, '100');
    await until(() => reader.caughtUp.length === 1);
    expect(reader.caughtUp).toEqual(['1203']);
    await append(2);
    await append(3);
    await until(() => reader.seen.length >= 1_108);
    expect(reader.seen).toEqual(between(101, 1_208));
    expect(reader.caughtUp).toHaveLength(1);
    reader.stop.abort();
    await reader.ended;
    expect(tail.current()).toBeNull();
  });

  it('begins at the end when it is asked to', async () => {
    await append(3);
    const reader = new Reader(new LogTail(memory), '3');
    await until(() => reader.caughtUp.length === 1);
    await append(1);
    await until(() => reader.seen.length > 0);
    expect(reader.seen).toEqual([4]);
    reader.stop.abort();
    await reader.ended;
  });

  it('sees only what its filter passes, and catches up all the same', async () => {
    await append(2, 'Other');
    await append(1, 'Wanted');
    await append(700, 'Other');
    const reader = new Reader(new LogTail(memory), '0', { types: ['Wanted'] });
    await until(() => reader.caughtUp.length === 1);
    expect(reader.caughtUp).toEqual(['703']);
    await append(1, 'Other');
    await append(1, 'Wanted');
    await until(() => reader.seen.length === 2);
    expect(reader.seen).toEqual([3, 705]);
    reader.stop.abort();
    await reader.ended;
  });

  const small = [
    ['in events', { maxBuffered: 10 }],
    ['in bytes', { maxBufferedBytes: 10_000 }],
  ] as const;
  it.each(small)(
    'that is slower than its buffer, %s, reads the log again: nothing missed, nothing twice',
    async (_, bound) => {
      const afters: string[] = [];
      const store = gated(({ after }) => {
        afters.push(after!);
        return Promise.resolve();
      });
      const tail = new LogTail(store, bound);
      await append(1);
      const reader = new Reader(tail, '0');
      await until(() => reader.caughtUp.length === 1);
      reader.halt();
      await append(1);
      await until(() => reader.seen.length === 2);
      for (let n = 0; n < 20; n += 1) await append(1);
      await until(() => tail.current() === '22');
      reader.go();
      await until(() => reader.seen.length >= 22);
      await append(1);
      await until(() => reader.seen.length >= 23);
      expect(reader.seen).toEqual(between(1, 23));
      expect(reader.caughtUp).toEqual(['1', '22']);
      expect(afters).toContain('2');
      reader.stop.abort();
      await reader.ended;
    },
  );

  it('holds few events at once where they are large', async () => {
    const limits: number[] = [];
    const store = gated(({ limit }) => {
      limits.push(limit);
      return Promise.resolve();
    });
    for (let n = 0; n < 40; n += 1) await append(2, 'Large', { payload: 'x'.repeat(200_000) });
    const reader = new Reader(new LogTail(store), '0');
    await until(() => reader.caughtUp.length === 1);
    expect(reader.seen).toEqual(between(1, 80));
    expect(limits.slice(1)).toEqual([5, 5, 5, 5, 5, 5]);
    await append(600);
    const other = new Reader(new LogTail(store), '80');
    await until(() => other.caughtUp.length === 1);
    expect(limits.slice(-3)).toEqual([50, 500, 500]);
    for (const { stop, ended } of [reader, other]) {
      stop.abort();
      await ended;
    }
  });

  it('ends at once by its signal, while a page does not come', async () => {
    const store = gated(() => new Promise<void>(() => undefined));
    const reader = new Reader(new LogTail(store), '0');
    await turn();
    reader.stop.abort();
    await reader.ended;
    expect(reader.seen).toEqual([]);
  });

  it('ends at once by its signal, while it waits for live events', async () => {
    const reader = new Reader(new LogTail(memory), '0');
    await until(() => reader.caughtUp.length === 1);
    reader.stop.abort();
    await reader.ended;
  });

  it('asks again when the log is away, and throws what is wrong for good', async () => {
    await append(2);
    const answers = [new Unavailable('away'), undefined, new Error('damaged')];
    const store = gated(() => {
      const error = answers.shift();
      return error === undefined ? Promise.resolve() : Promise.reject(error);
    });
    const tail = new LogTail({ ...store, head: () => new Promise(() => undefined) });
    const seen: number[] = [];
    const reading = (async () => {
      for await (const item of tail.readThenFollow('0', { signal: new AbortController().signal })) {
        if (!('caughtUp' in item)) seen.push(...positions(item));
      }
    })();
    await expect(reading).rejects.toThrow('damaged');
    expect(seen).toEqual([1, 2]);
    expect(tail.current()).toBeNull();
  });

  it('sees each event once and in order, whatever it, the log and the writers do meanwhile', async () => {
    const step = fc.oneof(
      fc.record({ append: fc.integer({ min: 1, max: 9 }) }),
      fc.record({ reader: fc.nat(2), do: fc.constantFrom('halt', 'go') } as const),
      fc.constant('turn' as const),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.array(fc.nat(4), { minLength: 1 }),
        fc.integer({ min: 1, max: 12 }),
        async (steps, delays, maxBuffered) => {
          memory = new MemoryEventStore({ clock: () => 0 });
          await append(20);
          let waits = 0;
          const someTurns = async () => {
            waits += 1;
            for (let n = delays[waits % delays.length]!; n > 0; n -= 1) await turn();
          };
          const store: EventStore = {
            ...gated(someTurns),
            // The tail may be ahead of a page, or behind it.
            async *subscribe(options) {
              for await (const item of memory.subscribe(options)) {
                await someTurns();
                yield item;
              }
            },
          };
          const tail = new LogTail(store, { maxBuffered });
          const readers = ['0', '7', '20'].map((after) => new Reader(tail, after));
          let last = 20;
          for (const one of steps) {
            if (one === 'turn') await turn();
            else if ('append' in one) {
              await append(one.append);
              last += one.append;
            } else readers[one.reader]![one.do]();
          }
          readers.forEach((reader) => reader.go());
          const first = [1, 8, 21];
          await until(() => readers.every(({ seen }, index) => seen.length >= last - first[index]! + 1));
          await turn();
          readers.forEach((reader) => reader.stop.abort());
          await Promise.all(readers.map(({ ended }) => ended));
          expect(readers.map(({ seen }) => seen)).toEqual(first.map((begin) => between(begin, last)));
        },
      ),
      { numRuns: 200 },
    );
  });
});

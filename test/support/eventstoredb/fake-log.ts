/**
 * What a single EventStoreDB 24.2 keeps and answers, in memory: streams, one total order with gaps between positions,
 * repeated ids, deletions. Each rule was seen on a real server; `test/conformance` runs over both.
 */
export interface FakeEvent {
  readonly id: string;
  readonly type: string;
  readonly contentType: string;
  readonly data: Uint8Array;
  readonly metadata: Uint8Array;
}

export interface RecordedFakeEvent extends FakeEvent {
  readonly stream: string;
  readonly revision: bigint;
  readonly position: bigint;
  /** Epoch ms. */
  readonly created: number;
}

export type FakeExpected = number | 'any' | 'streamExists';

export type FakeAppendResult =
  | { readonly kind: 'written'; readonly revision: number; readonly position: bigint }
  | { readonly kind: 'wrong revision'; readonly actual: number | undefined }
  | { readonly kind: 'deleted' }
  | { readonly kind: 'too large' };

/** Of data, metadata, and twice the type, of all events of an append. */
export const MAX_APPEND_SIZE = 1_048_576;

const NO_STREAM = -1;
/** Length of a record without data, names and metadata. */
const RECORD_BYTES = 96;

interface Stream {
  events: RecordedFakeEvent[];
  /** First revision that can be read: what is before was deleted. */
  first: number;
  tombstoned: boolean;
}

const sizeOf = ({ type, data, metadata }: FakeEvent): number => data.length + metadata.length + 2 * type.length;

export class FakeLog {
  /** Every event, in order of position. */
  readonly all: RecordedFakeEvent[] = [];
  readonly #streams = new Map<string, Stream>();
  readonly #listeners = new Set<() => void>();
  #end = 0n;

  constructor() {
    this.#record('$$$settings', this.#stream('$$$settings'), [systemEvent('$metadata')]);
  }

  append(name: string, expected: FakeExpected, events: readonly FakeEvent[]): FakeAppendResult {
    const stream = this.#stream(name);
    if (stream.tombstoned) return { kind: 'deleted' };
    if (events.reduce((sum, event) => sum + sizeOf(event), 0) > MAX_APPEND_SIZE) return { kind: 'too large' };
    const repeated = this.#repeated(stream, expected, events);
    if (repeated !== undefined) {
      return { kind: 'written', revision: Number(repeated.revision), position: repeated.position };
    }
    const last = stream.events.length - 1;
    const isGone = stream.first > last;
    const isMet =
      expected === 'any' ||
      (expected === 'streamExists' ? !isGone : expected === last || (expected === NO_STREAM && isGone));
    if (!isMet) return { kind: 'wrong revision', actual: last === NO_STREAM ? undefined : last };
    this.#record(name, stream, events);
    const written = stream.events.at(-1);
    return { kind: 'written', revision: stream.events.length - 1, position: written?.position ?? this.#end };
  }

  /** Undefined when the stream does not exist, or was deleted without a tombstone. */
  read(name: string): readonly RecordedFakeEvent[] | 'tombstoned' | undefined {
    const stream = this.#streams.get(name);
    if (stream?.tombstoned === true) return 'tombstoned';
    if (stream === undefined || stream.first > stream.events.length - 1) return undefined;
    return stream.first === 0 ? stream.events : stream.events.slice(stream.first);
  }

  tombstone(name: string): bigint {
    const stream = this.#stream(name);
    this.#record(name, stream, [systemEvent('$streamDeleted')]);
    stream.tombstoned = true;
    return this.all.at(-1)!.position;
  }

  /** Deletes what is in the stream; the next append goes on behind it. */
  delete(name: string): bigint {
    const stream = this.#stream(name);
    stream.first = stream.events.length;
    this.#record(`$$${name}`, this.#stream(`$$${name}`), [systemEvent('$metadata')]);
    return this.all.at(-1)!.position;
  }

  /** An event of the server itself, as statistics are. */
  note(): void {
    this.#record('$stats-fake', this.#stream('$stats-fake'), [systemEvent('$statsCollected')]);
  }

  onAppended(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Index in `all` of the first event at or after the position; a position between events is refused. */
  place(position: bigint): number | 'invalid' | 'beyond' {
    if (position >= this.#end) return 'beyond';
    let index = 0;
    for (let end = this.all.length; index < end;) {
      const middle = (index + end) >> 1;
      if (this.all[middle]!.position < position) index = middle + 1;
      else end = middle;
    }
    return this.all[index]?.position === position || position === 0n ? index : 'invalid';
  }

  /** The last event of an earlier append of the same ids at the same place. With `any`: wherever they stand. */
  #repeated(stream: Stream, expected: FakeExpected, events: readonly FakeEvent[]): RecordedFakeEvent | undefined {
    if (events.length === 0) return undefined;
    const base =
      typeof expected === 'number' ? expected : stream.events.findIndex(({ id }) => id === events[0]!.id) - 1;
    if (typeof expected !== 'number' && base < NO_STREAM) return undefined;
    const there = stream.events.slice(base + 1, base + 1 + events.length);
    return events.every(({ id }, index) => there[index]?.id === id) ? there.at(-1) : undefined;
  }

  #record(name: string, stream: Stream, events: readonly FakeEvent[]): void {
    for (const event of events) {
      const recorded = {
        ...event,
        stream: name,
        revision: BigInt(stream.events.length),
        position: this.#end,
        created: Date.now(),
      };
      this.#end += BigInt(RECORD_BYTES + name.length + sizeOf(event));
      stream.events.push(recorded);
      this.all.push(recorded);
    }
    this.#listeners.forEach((listener) => listener());
  }

  #stream(name: string): Stream {
    let stream = this.#streams.get(name);
    if (stream === undefined) this.#streams.set(name, (stream = { events: [], first: 0, tombstoned: false }));
    return stream;
  }
}

const systemEvent = (type: string): FakeEvent => ({
  id: crypto.randomUUID(),
  type,
  contentType: 'application/json',
  data: Buffer.from('{}'),
  metadata: new Uint8Array(),
});

/**
 * Appends one request to its stream, exactly once.
 *
 * Every append names a revision, `any` and `streamExists` too: they take the last one, and try again when another was
 * faster. With a revision the server knows repeated ids for ever, so an append whose answer was lost is sent again; with
 * its own `any` it would write them twice after a restart. And only so the recorded time never falls along a stream.
 *
 * Requests for one stream go one after the other, those for different streams together.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { expectedBase, NO_STREAM } from '../append-plan.js';
import type { EncodedRequest } from '../encoded-request.js';
import type { Appended, AppendResult } from '../event-store.js';
import { Conflict, LogUnavailable, StreamDeleted, TooLarge, Unavailable } from '../event-store.js';
import type { EventStoreDriver, StoredEvent, WireAppended, WireEvent } from './driver.js';
import type { HeardLog } from './heard-log.js';
import { ReadBack } from './read-back.js';
import { EMPTY_TAIL, type StreamTail, StreamTails } from './stream-tails.js';
import { toRecorded, toWire } from './wire-event.js';

export interface AppenderOptions {
  /** How long an append that failed is sent again, ms; default 3,000. */
  readonly retryForMs?: number;
}

const DEFAULT_RETRY_MS = 3_000;
const FIRST_PAUSE_MS = 25;
const LAST_PAUSE_MS = 500;
/** An `any` that others overtake this often gives up: a livelock must show, not last. */
const MAX_OVERTAKEN = 100;

export interface NextAppend {
  readonly request: EncodedRequest;
  readonly now: number;
  readonly whose: 'own' | "another's";
}

type Sent = WireAppended & {
  /** Ours whatever stood there before: an earlier try of the same call wrote it. */ readonly again: boolean;
};

export class StreamAppender {
  readonly #driver: EventStoreDriver;
  readonly #retryForMs: number;
  readonly #tails = new StreamTails();
  readonly #readBack: ReadBack;
  readonly #heard: HeardLog;
  /** The request of a stream that came last. */
  readonly #last = new Map<string, Promise<unknown>>();
  /** No event of this process's that is not yet answered stands at or before it. */
  #highest = -1n;
  /** When the first call failed of those that failed since one was answered, of the process's clock, ms. */
  #awaySince: number | undefined;

  constructor(driver: EventStoreDriver, heard: HeardLog, { retryForMs = DEFAULT_RETRY_MS }: AppenderOptions = {}) {
    this.#driver = driver;
    this.#heard = heard;
    this.#readBack = new ReadBack(driver);
    this.#retryForMs = retryForMs;
  }

  /**
   * @param now recorded time of the events unless their stream is ahead of it, epoch ms
   * @param whose `another's`: another process may append the same events, so what is answered of them is read back
   * @throws Unavailable when the outcome is unknown
   */
  append(request: EncodedRequest, now: number, whose: 'own' | "another's" = 'own'): Promise<AppendResult> {
    return this.appendNext(request.stream, () => ({ request, now, whose }));
  }

  /** As `append`, of what there is when the stream's turn has come. */
  async appendNext(stream: string, next: () => NextAppend): Promise<AppendResult> {
    const before = this.#last.get(stream);
    const append = (): Promise<AppendResult> => this.#append(next());
    const appending = before === undefined ? append() : before.then(append, append);
    this.#last.set(stream, appending);
    try {
      return await appending;
    } catch (error) {
      if (error instanceof StreamDeleted || error instanceof TooLarge) return { ok: false, error };
      throw error;
    } finally {
      if (this.#last.get(stream) === appending) this.#last.delete(stream);
    }
  }

  /** Whether an append to the stream is on its way: the next one waits. */
  isBusy(stream: string): boolean {
    return this.#last.has(stream);
  }

  /**
   * Where the stream ends now, whatever is remembered.
   * @throws Unavailable when it could not be read for as long as an append is sent again
   */
  async readTail(stream: string): Promise<StreamTail> {
    const read = () => this.#driver.readStream(stream, { direction: 'backwards', limit: 1 });
    const [last] = await this.#repeated(read);
    if (last === undefined) return EMPTY_TAIL;
    const tail = { revision: last.revision, at: Date.parse(toRecorded(last)?.at ?? '1970-01-01') };
    this.#tails.set(stream, tail);
    return tail;
  }

  /** The request as it was appended before, when its ids stand at its place. */
  async replay(request: EncodedRequest): Promise<Appended | undefined> {
    const base = expectedBase(request.expected);
    if (base === undefined) return undefined;
    const there = await this.#readBack.one({ request, revision: base + 1 });
    return there === undefined ? undefined : appended(there, true);
  }

  /** What was appended, as it stands in the log: another process may have appended it first, with a time of its own. */
  async readBack(request: EncodedRequest, { revision }: Appended): Promise<Appended> {
    const first = revision - request.events.length + 1;
    const there = await this.#repeated(() => this.#readBack.one({ request, revision: first }));
    if (there === undefined) throw new Error(`${request.stream} does not hold what was just appended`);
    this.#tails.forget(request.stream);
    return appended(there, true);
  }

  async #append({ request, now, whose }: NextAppend): Promise<AppendResult> {
    const base = expectedBase(request.expected);
    for (let overtaken = 0; overtaken < MAX_OVERTAKEN; overtaken += 1) {
      const tail = await this.#tailFor(request, base);
      if (!isMet(request, base, tail)) return (await this.replay(request)) ?? conflict(request, tail.revision);
      const at = Math.max(now, tail.at);
      const before = { highest: this.#highest, isKnown: tail !== EMPTY_TAIL, isOwn: whose === 'own' };
      const sent = await this.#send(
        request.stream,
        tail.revision,
        request.events.map((event) => toWire(event, at)),
      );
      if (sent.ok) return this.#settle(request, { revision: sent.revision, at }, sent, before);
      this.#tails.forget(request.stream);
      if (base !== undefined) return (await this.replay(request)) ?? conflict(request, sent.actual);
    }
    throw new LogUnavailable(`appending to ${request.stream}: others were faster ${MAX_OVERTAKEN} times`);
  }

  /** Reads nothing when what is remembered is enough to try, or when the stream is to be made. */
  async #tailFor({ stream, expected }: EncodedRequest, base: number | undefined): Promise<StreamTail> {
    const known = this.#tails.get(stream);
    if (base === NO_STREAM) return known ?? EMPTY_TAIL;
    // Streams only grow: one that was seen behind the revision has passed it for good.
    if (known !== undefined && (base === undefined || known.revision >= base)) return known;
    const tail = await this.readTail(stream);
    return tail.revision === NO_STREAM && expected === 'any' ? EMPTY_TAIL : tail;
  }

  /** Sends the same again while the outcome is unknown and there is time. */
  async #send(stream: string, revision: number, events: readonly WireEvent[]): Promise<Sent> {
    let sent = 0;
    try {
      return await this.#repeated(async () => {
        sent += 1;
        return { ...(await this.#driver.append(stream, revision, events)), again: sent > 1 };
      });
    } catch (error) {
      this.#tails.forget(stream);
      throw error;
    }
  }

  /**
   * Asks again while the log is away and there is time. That is counted from when it went: in an outage that lasts whoever
   * comes is told at once, and does not wait behind others who wait.
   */
  async #repeated<T>(ask: () => Promise<T>): Promise<T> {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LAST_PAUSE_MS)) {
      try {
        const answer = await ask();
        this.#awaySince = undefined;
        return answer;
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        this.#awaySince ??= performance.now();
        if (performance.now() + pauseMs > this.#awaySince + this.#retryForMs) throw error;
        await pause(pauseMs);
      }
    }
  }

  async #settle(
    request: EncodedRequest,
    tail: StreamTail,
    { position, again }: Sent & { ok: true },
    before: { readonly highest: bigint; readonly isKnown: boolean; readonly isOwn: boolean },
  ): Promise<AppendResult> {
    if (position > this.#highest) this.#highest = position;
    this.#tails.set(request.stream, tail);
    const at = new Date(tail.at).toISOString();
    // The server answers ids that it knows as if it had just written them; only its events say when that was.
    const isNew = before.isOwn && (again || (before.isKnown && position > before.highest));
    if (isNew && request.events.length === 1) {
      const only = String(position);
      return { ok: true, first: only, last: only, positions: [only], revision: tail.revision, at, replayed: false };
    }
    const revision = tail.revision - request.events.length + 1;
    const there =
      (await this.#heard.eventsOf(request, revision, position)) ??
      (await this.#readBack.together({ request, revision, position, after: before.highest }));
    if (there === undefined) throw new Error(`${request.stream} does not hold what was just appended`);
    const found = appended(there, false);
    if ((again && before.isOwn) || found.at === at) return found;
    this.#tails.forget(request.stream);
    return { ...found, replayed: true };
  }
}

const isMet = ({ expected }: EncodedRequest, base: number | undefined, tail: StreamTail): boolean =>
  base === undefined ? expected === 'any' || tail.revision !== NO_STREAM : tail.revision === base;

const conflict = ({ stream, expected }: EncodedRequest, actual: number): AppendResult => ({
  ok: false,
  error: new Conflict(stream, expected, actual === NO_STREAM ? null : actual),
});

const appended = (there: readonly StoredEvent[], replayed: boolean): Appended => {
  const positions = there.map(({ position }) => String(position));
  const last = there.at(-1)!;
  const at = toRecorded(last)?.at;
  if (at === undefined) throw new Error(`event ${last.position} of ${last.stream} has no recorded time`);
  const place = { first: positions[0]!, last: positions.at(-1)!, positions, revision: last.revision };
  return { ok: true, ...place, at, replayed };
};

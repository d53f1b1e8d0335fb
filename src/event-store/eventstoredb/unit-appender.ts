/** Appends units: a single request as it is, a group all or none. */
import type { EncodedRequest } from '../encoded-request.js';
import { type Appended, type AppendResult, TooLarge } from '../event-store.js';
import { type Outcomes, plan, settleMissed, type Unit } from '../append-plan.js';
import type { StreamAppender } from './stream-appender.js';

/** Requests of one call that name no revision, all of one stream. */
interface Run {
  readonly requests: Unit;
  readonly now: number;
  readonly outcomes: Outcomes;
}

export class UnitAppender {
  readonly #streams: StreamAppender;
  /** Requests that name no revision, by the stream that they wait for. */
  readonly #waiting = new Map<string, { readonly runs: Run[]; readonly done: Promise<void> }>();

  constructor(streams: StreamAppender) {
    this.#streams = streams;
  }

  /**
   * Appends a unit and settles each request. Of a group whose requests do not stand alone nothing is appended unless all of it can be: its streams do not
   * exist, and their names are nobody else's.
   * @param now recorded time, epoch ms
   * @param whose `another's`: another process may append it too
   * @throws Unavailable when the outcome is unknown
   */
  async append(unit: Unit, now: number, outcomes: Outcomes, whose: 'own' | "another's" = 'own'): Promise<void> {
    if (unit.length === 1) {
      const [only] = unit;
      outcomes.settle(only!.ordinal, await this.#streams.append(only!, now, whose));
      return;
    }
    const rest = unit.every(({ loose }) => loose) ? unit : await this.#possible(unit, outcomes);
    const results = await Promise.all(rest.map((request) => this.#streams.append(request, now, whose)));
    results.forEach((result, index) => outcomes.settle(rest[index]!.ordinal, result));
  }

  /**
   * Appends requests that name no revision, all of one stream, as one, together with others that wait for the stream: as
   * many trips as for one of them, and one race with other processes. Each has a result of its own. What is too large
   * together is appended one by one.
   * @throws Unavailable when the outcome is unknown
   */
  appendRun(requests: Unit, now: number, outcomes: Outcomes): Promise<void> {
    const { stream } = requests[0]!;
    const run = { requests, now, outcomes };
    const waiting = this.#waiting.get(stream);
    if (waiting !== undefined) {
      waiting.runs.push(run);
      return waiting.done;
    }
    const runs: Run[] = [run];
    if (!this.#streams.isBusy(stream)) return this.#appendRuns(runs);
    const done = this.#appendRuns(runs, () => void this.#waiting.delete(stream));
    this.#waiting.set(stream, { runs, done });
    return done;
  }

  /** @param begun what was waiting is on its way: nothing is added to it any more */
  async #appendRuns(runs: readonly Run[], begun: () => void = () => undefined): Promise<void> {
    const together = await this.#streams.appendNext(runs[0]!.requests[0]!.stream, () => {
      begun();
      return { request: joined(requestsOf(runs)), now: Math.max(...runs.map(({ now }) => now)), whose: 'own' };
    });
    const requests = requestsOf(runs);
    if (!together.ok && together.error instanceof TooLarge && requests.length > 1) {
      const alone = runs.flatMap((run) => run.requests.map((request): Run => ({ ...run, requests: [request] })));
      await this.#appendRuns(alone.slice(0, alone.length >> 1));
      await this.#appendRuns(alone.slice(alone.length >> 1));
      return;
    }
    let from = 0;
    for (const { requests: own, outcomes } of runs) {
      for (const { ordinal, events } of own) {
        outcomes.settle(ordinal, together.ok ? partOf(together, from, events.length) : together);
        from += events.length;
      }
    }
  }

  /** Says of what was appended what stands in the log: another process may have been first. */
  async readBack(unit: Unit, outcomes: Outcomes): Promise<void> {
    await Promise.all(
      unit.map(async (request) => {
        const result = outcomes.has(request.ordinal) ? outcomes.get(request.ordinal) : undefined;
        if (result?.ok === true) outcomes.settle(request.ordinal, await this.#streams.readBack(request, result));
      }),
    );
  }

  /** What is to be appended of a group; nothing when some of it cannot be. What stands in the log already is settled. */
  async #possible(unit: Unit, outcomes: Outcomes): Promise<readonly EncodedRequest[]> {
    const names = [...new Set(unit.map(({ stream }) => stream))];
    const tails = await Promise.all(names.map((name) => this.#streams.readTail(name)));
    const revisions = new Map(names.map((name, index) => [name, tails[index]!.revision]));
    const { ready, missed } = plan([unit], (stream) => revisions.get(stream)!);
    const misses = missed.flatMap((miss) => miss.misses.map(({ request }) => request));
    const replays = new Map<EncodedRequest, AppendResult | undefined>();
    for (const request of misses) replays.set(request, await this.#streams.replay(request));
    return [...ready, ...settleMissed(missed, (request) => replays.get(request), outcomes)].flat();
  }
}

const requestsOf = (runs: readonly Run[]): Unit => runs.flatMap(({ requests }) => requests);

const joined = (requests: Unit): EncodedRequest => ({
  ...requests[0]!,
  events: requests.flatMap(({ events }) => events),
});

const partOf = (whole: Appended, from: number, length: number): Appended => {
  const positions = whole.positions.slice(from, from + length);
  const revision = whole.revision - whole.positions.length + from + length;
  return { ...whole, first: positions[0]!, last: positions.at(-1)!, positions, revision };
};

/**
 * Which requests of a call can be appended, given what their streams look like. Both logs that write a call at once
 * (memory, PostgreSQL) decide with it, so they cannot differ.
 *
 * Requests for one stream are judged in order, each as if those before it were written. A verdict that rests on one
 * that is not written yet is put off until it is: it may still be refused beside the events.
 */
import type { AppendRequest, AppendResult, ExpectedRevision, NotAppended } from './event-store.js';
import { BesideRefused, Conflict, GroupAborted } from './event-store.js';
import type { EncodedRequest } from './encoded-request.js';
import { encodeRequest } from './encoded-request.js';

/** Requests that are written all or none: those of one group, or a single one. */
export type Unit = readonly EncodedRequest[];

/** Last revision of a stream that does not exist. */
export const NO_STREAM = -1;

/** The revision after which the request's events come, when it names one. */
export const expectedBase = (expected: ExpectedRevision): number | undefined =>
  typeof expected === 'number' ? expected : expected === 'noStream' ? NO_STREAM : undefined;

const isMet = (expected: ExpectedRevision, revision: number): boolean =>
  expected === 'any' || (expected === 'streamExists' ? revision > NO_STREAM : expectedBase(expected) === revision);

/** A request that is not at the revision it expects: either it is there already, or it conflicts. */
export interface Miss {
  readonly request: EncodedRequest;
  /** Last revision of its stream. */
  readonly actual: number;
}

export interface Plan {
  /** Can be written together, in order. */
  readonly ready: readonly Unit[];
  /** Must first be looked up in the log. */
  readonly missed: readonly { readonly unit: Unit; readonly misses: readonly Miss[] }[];
  /** To be planned again when `ready` is settled. */
  readonly deferred: readonly Unit[];
}

/** @param revisionOf last revision of a stream in the log, `NO_STREAM` when there is none */
export const plan = (units: readonly Unit[], revisionOf: (stream: string) => number): Plan => {
  const ready: Unit[] = [];
  const missed: { unit: Unit; misses: Miss[] }[] = [];
  const deferred: Unit[] = [];
  const moved = new Map<string, number>();
  const blocked = new Set<string>();
  const block = (unit: Unit) => unit.forEach(({ stream }) => blocked.add(stream));
  for (const unit of units) {
    const ahead = new Map<string, number>();
    const misses: Miss[] = [];
    for (const request of unit) {
      const actual = ahead.get(request.stream) ?? moved.get(request.stream) ?? revisionOf(request.stream);
      if (isMet(request.expected, actual)) ahead.set(request.stream, actual + request.events.length);
      else misses.push({ request, actual });
    }
    if (unit.some(({ stream }) => blocked.has(stream)) || misses.some(({ request }) => moved.has(request.stream))) {
      deferred.push(unit);
      block(unit);
    } else if (misses.length > 0) {
      missed.push({ unit, misses });
      if (unit.length > 1) block(unit);
    } else {
      ready.push(unit);
      ahead.forEach((revision, stream) => moved.set(stream, revision));
    }
  }
  return { ready, missed, deferred };
};

/** The results of a call, as they become known. */
export class Outcomes {
  readonly #results: (AppendResult | undefined)[];

  constructor(length: number) {
    this.#results = new Array<undefined>(length);
  }

  settle(ordinal: number, result: AppendResult): void {
    this.#results[ordinal] = result;
  }

  has(ordinal: number): boolean {
    return this.#results[ordinal] !== undefined;
  }

  /** @throws Error when it is not settled: a defect of the adapter */
  get(ordinal: number): AppendResult {
    const result = this.#results[ordinal];
    if (result === undefined) throw new Error(`request ${ordinal} of an append has no result`);
    return result;
  }

  /** Refuses a unit: its culprits for their reasons, the others because of them. */
  refuse(unit: Unit, errors: ReadonlyMap<EncodedRequest, NotAppended['error']>): void {
    for (const request of unit) {
      this.settle(request.ordinal, { ok: false, error: errors.get(request) ?? new GroupAborted() });
    }
  }

  /** @throws Error when a request has none: a defect of the adapter. */
  all(): AppendResult[] {
    return Array.from(this.#results, (_, ordinal) => this.get(ordinal));
  }
}

/** The units of a call; what cannot be stored is refused in `outcomes` and left out. */
export const unitsOf = (requests: readonly AppendRequest[], outcomes: Outcomes, limit?: number): Unit[] => {
  const units: Unit[] = [];
  for (let start = 0, end = 1; start < requests.length; start = end, end += 1) {
    const group = requests[start]!.group;
    while (group !== undefined && end < requests.length && requests[end]!.group === group) end += 1;
    const encoded = requests.slice(start, end).map((request, index) => encodeRequest(request, start + index, limit));
    const storable = encoded.filter((request): request is EncodedRequest => !(request instanceof Error));
    if (storable.length === encoded.length) {
      units.push(storable);
      continue;
    }
    encoded.forEach((request, index) => {
      const error = request instanceof Error ? request : new GroupAborted();
      outcomes.settle(start + index, { ok: false, error });
    });
  }
  return units;
};

/**
 * Settles what was missed: a request whose ids stand at its place in the log is a success (and leaves its unit), any
 * other a conflict. Returns what is still to be written of the units.
 */
export const settleMissed = (
  missed: Plan['missed'],
  replayOf: (request: EncodedRequest) => AppendResult | undefined,
  outcomes: Outcomes,
): Unit[] => {
  const rest: Unit[] = [];
  for (const { unit, misses } of missed) {
    const replays = misses.map(({ request }) => replayOf(request));
    if (replays.includes(undefined)) {
      const conflicts = misses.filter((_, index) => replays[index] === undefined);
      outcomes.refuse(unit, new Map(conflicts.map((miss) => [miss.request, conflict(miss)])));
      continue;
    }
    misses.forEach(({ request }, index) => outcomes.settle(request.ordinal, replays[index]!));
    const left = unit.filter((request) => !misses.some((miss) => miss.request === request));
    if (left.length > 0) rest.push(left);
  }
  return rest;
};

const conflict = ({ request, actual }: Miss): Conflict =>
  new Conflict(request.stream, request.expected, actual === NO_STREAM ? null : actual);

/**
 * Refuses the units of the requests that a beside table refused. Returns the others, to be planned again; among them
 * what was judged as if a refused unit were written: another reason may come first.
 */
export const withoutRefused = (
  units: readonly Unit[],
  refused: ReadonlySet<number>,
  table: string,
  outcomes: Outcomes,
): Unit[] => {
  const unsettled = new Set<string>();
  return units.filter((unit) => {
    const culprits = unit.filter(({ ordinal }) => refused.has(ordinal));
    if (culprits.length === 0 || unit.some(({ stream }) => unsettled.has(stream))) return true;
    unit.forEach(({ stream }) => unsettled.add(stream));
    outcomes.refuse(unit, new Map(culprits.map((request) => [request, new BesideRefused(table)])));
    return false;
  });
};

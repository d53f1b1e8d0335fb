/** Appends of a call that have no answer: whose fate is unknown, while that of the others is not. */
import { expectedBase, type Outcomes } from '../append-plan.js';
import { LogUnavailable, Unavailable } from '../event-store.js';
import type { HeldUnit } from './beside-rows.js';

/** A timer that is so late, ms, was held up with its process: what was answered meanwhile is not read yet. */
const STOOD_STILL_MS = 250;

/**
 * Waits for all of them, or until nothing more is answered: then something is wrong with what is left, and nobody else
 * waits for it. It goes on, and whoever appends to its stream next waits for it there.
 */
export const exceptStragglers = async (appending: readonly Promise<void>[], patienceMs: number): Promise<void> => {
  if (appending.length === 1) {
    await appending[0];
    return;
  }
  let timer: NodeJS.Timeout | undefined;
  const given = new Promise<void>((resolve) => {
    const wait = (): void => {
      clearTimeout(timer);
      const dueAt = performance.now() + patienceMs;
      timer = setTimeout(() => (performance.now() - dueAt < STOOD_STILL_MS ? resolve() : wait()), patienceMs);
    };
    for (const one of appending) void one.then(wait);
  });
  await Promise.race([Promise.all(appending), given]);
  clearTimeout(timer);
};

/** Whether a unit has all of its results. */
export const isWhole =
  (outcomes: Outcomes) =>
  ({ requests }: HeldUnit): boolean =>
    requests.every(({ request }) => outcomes.has(request.ordinal));

interface Open {
  /** Those without all of their results. */
  readonly units: readonly HeldUnit[];
  /** Why, by ordinals; nothing of an append that goes on. */
  readonly failed: ReadonlyMap<number, Error>;
}

/**
 * Those that nobody appends any more, and anybody may: the others go on. What names no revision is not among them:
 * whoever finds it missing gives it up, and a server that lost the connection alone may still write it until its deadline.
 */
export const givenUp = ({ units, failed }: Open): readonly HeldUnit[] =>
  units.filter(
    ({ requests }) =>
      requests.some(({ request }) => failed.get(request.ordinal) instanceof Unavailable) &&
      requests.every(({ request }) => expectedBase(request.expected) !== undefined),
  );

/**
 * A unit that had not all of its results has none: its rows were not written. Its intent, or who reads the log, finishes
 * it; the caller repeats it with the same ids.
 * @param all of the call's units
 * @throws Unavailable when that is so of every unit
 */
export const settleUnknown = ({ units, failed }: Open, all: number, outcomes: Outcomes): void => {
  const reasons = units.map(({ requests }) => {
    const [reason] = requests.flatMap(({ request }) => failed.get(request.ordinal) ?? []);
    return reason ?? new LogUnavailable('an append was not answered in time');
  });
  units.forEach(({ requests }, index) => {
    const error = reasons[index]!;
    if (!(error instanceof Unavailable) || units.length === all) throw error;
    for (const { request } of requests) outcomes.settle(request.ordinal, { ok: false, error });
  });
};

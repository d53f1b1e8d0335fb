/** What must hold of the log by itself, whatever clients saw. */
import type { LedgerEvent } from '../../../src/api/contract.js';
import { HELD, type IndexedHistory, isFact, type JobHistory, TERMINAL_EVENTS, type Violation } from './history.js';

/** Positions are 1, 2, 3 …; recorded time never falls; each stream's revisions are 0, 1, 2 …; ids are unique. */
export const checkOrder = ({ history: { events } }: IndexedHistory): readonly Violation[] => {
  const violations: Violation[] = [];
  const revisions = new Map<string, number>();
  const ids = new Map<string, string>();
  events.forEach((event, index) => {
    const { position, stream, revision, id, at } = event;
    const before = events[index - 1];
    const expected = before === undefined ? 1n : BigInt(before.position) + 1n;
    if (BigInt(position) !== expected) violations.push(`position ${expected} is missing: the next is ${position}`);
    if (before !== undefined && at < before.at) {
      violations.push(`time falls from ${before.at} at position ${before.position} to ${at} at position ${position}`);
    }
    const next = (revisions.get(stream) ?? -1) + 1;
    if (revision !== next)
      violations.push(`stream ${stream}: revision ${revision} at position ${position}, not ${next}`);
    revisions.set(stream, revision);
    const other = ids.get(id);
    if (other !== undefined) violations.push(`event ${id} stands at positions ${other} and ${position}`);
    ids.set(id, position);
  });
  return violations;
};

/** The chart can follow every event, and each says where it came from and led to. */
export const checkTransitions = ({ jobs }: IndexedHistory): readonly Violation[] =>
  [...jobs.values()].flatMap((job) => [
    ...(job.broken === null ? [] : [`job ${job.id}: its history is broken at ${job.broken}`]),
    ...job.moments.flatMap(({ event, stored }, index) => {
      if (isFact(event)) return [];
      const from = job.moments[index - 1]?.stored.job.status ?? null;
      const to = stored.job.status;
      return event.from === from && event.to === to
        ? []
        : [
            `job ${job.id}: ${event.type} at position ${event.position} says ${event.from} → ${event.to}, it was ${from} → ${to}`,
          ];
    }),
  ]);

/** A run ends at most once. */
export const checkTerminals = ({ jobs }: IndexedHistory): readonly Violation[] =>
  [...jobs.values()].flatMap((job) => {
    const ends = new Map<number, LedgerEvent[]>();
    for (const event of job.events) {
      if (TERMINAL_EVENTS.has(event.type)) ends.set(event.run ?? 0, [...(ends.get(event.run ?? 0) ?? []), event]);
    }
    return [...ends]
      .filter(([, events]) => events.length > 1)
      .map(([run, events]) => {
        const listed = events.map(({ type, position }) => `${type} at position ${position}`).join(', ');
        return `job ${job.id}: run ${run} ended ${events.length} times: ${listed}`;
      });
  });

interface Attempt {
  readonly claimedAt: LedgerEvent;
  /** The event that took the lease from it; undefined while it is held. */
  readonly endedAt: LedgerEvent | undefined;
}

/** The attempts of a job by their claims, judged by what each event says of itself, not by a fold. */
const attemptsOf = ({ events }: JobHistory): readonly Attempt[] => {
  const moves = events.filter((event) => !isFact(event));
  return moves.flatMap((event, index) => {
    if (event.type !== 'JobClaimed') return [];
    const endedAt = moves.slice(index + 1).find(({ to }) => to !== null && !HELD.has(to));
    return [{ claimedAt: event, endedAt }];
  });
};

/** Nobody is given a job that another holds, and attempts count up by one in each run. */
export const checkLeases = ({ jobs }: IndexedHistory): readonly Violation[] =>
  [...jobs.values()].flatMap((job) => {
    const attempts = attemptsOf(job);
    return attempts.flatMap(({ claimedAt }, index) => {
      const violations: Violation[] = [];
      const before = attempts[index - 1];
      const isHeld =
        before !== undefined &&
        (before.endedAt === undefined || BigInt(before.endedAt.position) > BigInt(claimedAt.position));
      if (isHeld) {
        violations.push(
          `job ${job.id}: claimed at position ${claimedAt.position} while the lease of position ${before.claimedAt.position} was held`,
        );
      }
      const expected = before?.claimedAt.run === claimedAt.run ? (before.claimedAt.attempt ?? 0) + 1 : 1;
      if (claimedAt.attempt !== expected) {
        violations.push(
          `job ${job.id}: attempt ${claimedAt.attempt} of run ${claimedAt.run} at position ${claimedAt.position}, not ${expected}`,
        );
      }
      return violations;
    });
  });

/** Facts are taken from the holder alone: none before its claim, none after its end. */
export const checkFacts = ({ jobs }: IndexedHistory): readonly Violation[] =>
  [...jobs.values()].flatMap((job) => {
    const attempts = attemptsOf(job);
    return job.events.filter(isFact).flatMap((fact) => {
      const own = attempts.find(({ claimedAt: { run, attempt } }) => run === fact.run && attempt === fact.attempt);
      const position = BigInt(fact.position);
      const isHeld =
        own !== undefined &&
        position > BigInt(own.claimedAt.position) &&
        (own.endedAt === undefined || position < BigInt(own.endedAt.position));
      return isHeld
        ? []
        : [
            `job ${job.id}: a fact of run ${fact.run}, attempt ${fact.attempt} at position ${fact.position}, when that attempt held no lease`,
          ];
    });
  });

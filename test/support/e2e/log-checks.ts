/** What must hold of the log by itself, whatever clients saw. */
import type { LedgerEvent } from '../../../src/api/contract.js';
import {
  attemptsOf,
  type IndexedHistory,
  isAnswered,
  isFact,
  isSuccess,
  placeOfFact,
  show,
  TERMINAL_EVENTS,
  type Violation,
} from './history.js';

/**
 * Positions rise, and are 1, 2, 3 … in the database; recorded time never falls, along a stream in EventStoreDB; each
 * stream's revisions are 0, 1, 2 …; ids are unique.
 */
export const checkOrder = ({ history: { events, log, since } }: IndexedHistory): readonly Violation[] => {
  const violations: Violation[] = [];
  const revisions = new Map<string, number>();
  const latest = new Map<string, LedgerEvent>();
  const ids = new Map<string, string>();
  events.forEach((event, index) => {
    const { position, stream, revision, id, at } = event;
    const previous = BigInt(events[index - 1]?.position ?? since?.position ?? '0');
    if (log === 'database' && BigInt(position) !== previous + 1n) {
      violations.push(`position ${previous + 1n} is missing: the next is ${position}`);
    }
    if (BigInt(position) <= previous) violations.push(`position ${position} stands after ${previous}`);
    const before = log === 'database' ? events[index - 1] : latest.get(stream);
    latest.set(stream, event);
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

/**
 * Facts are taken from the holder alone: none before its claim, none after its end. A log in EventStoreDB cannot refuse
 * one that was on its way when the attempt ended, by another stream: there it may stand after the end, where it counts
 * for nothing (`checkProgress`), as long as nobody was told that it was taken.
 */
export const checkFacts = (history: IndexedHistory): readonly Violation[] =>
  [...history.jobs.values()].flatMap((job) => {
    const attempts = attemptsOf(job);
    return job.events.filter(isFact).flatMap((fact) => {
      const place = placeOfFact(attempts, fact);
      if (place === 'held') return [];
      const named = `job ${job.id}: a fact of run ${fact.run}, attempt ${fact.attempt} at position ${fact.position}`;
      if (place === 'never held' || history.history.log === 'database') {
        return [`${named}, when that attempt held no lease`];
      }
      const calls = fact.commandId === null ? [] : (history.byKey.get(fact.commandId) ?? []);
      const taken = calls.filter(isAnswered).find(isSuccess);
      return taken === undefined ? [] : [`${named}, after that attempt had ended, was taken: ${show(taken)}`];
    });
  });

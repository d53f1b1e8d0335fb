/** Who asks for the jobs of a queue, and for which: as far as the service tells it, in words for people. */
import type { Claimer, JobledgerClient, Queue } from '../../client/client.js';
import { statusesTagged } from '../../domain/job-chart.js';
import { formatDuration } from '../text.js';

/** A long poll takes 60 s at most; whoever waits asks again after it. */
const PRESENT_MS = 75_000;
/** As many as are told of a queue: there may be others. */
const MOST_TOLD = 20;
/** In one question: it has to fit into an address. */
const ASKED_FOR = 20;
const LARGEST_PAGE = 200;

/** By the name of a worker, how many jobs it has. */
export type Holders = ReadonlyMap<string, number>;

export interface Asker extends Claimer {
  readonly agoMs: number;
  /** How many jobs it has; not looked at of one that asks. Null: not known. */
  readonly holds: number | null;
}

const agoOf = ({ lastAskedAt }: Claimer, now: number): number => Math.max(0, now - Date.parse(lastAskedAt));

export const isPresent = ({ agoMs }: Pick<Asker, 'agoMs'>): boolean => agoMs <= PRESENT_MS;
/** It has not asked lately, and may ask again: when it has room. */
export const isBusy = (asker: Asker): asker is Asker & { readonly holds: number } =>
  asker.holds !== null && asker.holds > 0;
/** Whether somebody may come for a job. */
export const isThere = (asker: Asker): boolean => isPresent(asker) || isBusy(asker);

/** A worker that is busy asks for nothing until it has room: what it has tells it from one that is gone. */
export const findHolders = async (ledger: JobledgerClient, workerIds: readonly string[]): Promise<Holders> => {
  const holders = new Map<string, number>();
  for (let first = 0; first < workerIds.length; first += ASKED_FOR) {
    const filter = { workerId: workerIds.slice(first, first + ASKED_FOR), status: statusesTagged('active') };
    const page = (cursor?: string) => ledger.listJobs({ ...filter, limit: LARGEST_PAGE, cursor });
    for await (const { lease } of ledger.everyItem(page)) {
      if (lease !== null) holders.set(lease.workerId, (holders.get(lease.workerId) ?? 0) + 1);
    }
  }
  return holders;
};

/** Of the queues, who has not asked lately. */
export const absentees = (queues: readonly Queue[], now: number): readonly string[] => {
  const away = queues.flatMap(({ claimers }) => claimers.filter((one) => !isPresent({ agoMs: agoOf(one, now) })));
  return [...new Set(away.map(({ workerId }) => workerId))];
};

/**
 * The last one that asked first.
 * @param holders null: not known
 */
export const askersOf = (
  { claimers }: Pick<Queue, 'claimers'>,
  holders: Holders | null,
  now: number,
): readonly Asker[] =>
  claimers.map((one) => ({
    ...{ ...one, agoMs: agoOf(one, now) },
    holds: holders === null ? null : (holders.get(one.workerId) ?? 0),
  }));

export const askersFor = (type: string, askers: readonly Asker[]): readonly Asker[] =>
  askers.filter(({ types }) => types === null || types.includes(type));

/** Whether there may be askers that are not told. */
export const mayBeMore = (askers: readonly Asker[]): boolean => askers.length >= MOST_TOLD;

/** Whether it cannot be told if one of them is busy. */
export const mayBeBusy = (askers: readonly Asker[]): boolean => askers.some(({ holds }) => holds === null);

const MAX_NAMES = 3;

/** The first of them: neither a cell nor a line is a list. */
export const namesOf = (names: readonly string[]): string =>
  names.length > MAX_NAMES ? `${names.slice(0, MAX_NAMES).join(', ')} …` : names.join(', ');

export const ago = (ms: number): string => (ms < 1_000 ? 'now' : `${formatDuration(ms)} ago`);

/** Of those who ask for the same: whether somebody is there, who, and since when nobody is. */
export const stateOf = (askers: readonly Asker[]): string => {
  const [last] = askers;
  if (last === undefined) return 'nobody';
  const named = (some: readonly Asker[], is: string, are: string): string => {
    const names = [...new Set(some.map(({ workerId }) => workerId))];
    return names.length === 1 ? `${names[0]}${is}` : `${names.length} workers${are}`;
  };
  const present = askers.filter(isPresent);
  if (present.length > 0) return `${named(present, '', '')}, ${ago(last.agoMs)}`;
  if (mayBeBusy(askers)) return `${named(askers, '', '')}, ${ago(last.agoMs)}`;
  const busy = askers.filter(isBusy);
  return busy.length > 0 ? named(busy, ' is busy', ' are busy') : `nobody for ${formatDuration(last.agoMs)}`;
};

/** Why a job does not move: what it waits for and who brings that, as far as the service tells it. */
import { type Job, type JobledgerClient, ProblemError, type Queue, type Waiting } from '../../client/client.js';
import { follow } from '../../domain/job-chart.js';
import type { QueuedReason } from '../../domain/job-events.js';
import { formatDuration, formatInstant } from '../text.js';
import {
  ago,
  type Asker,
  askersFor,
  askersOf,
  findHolders,
  isBusy,
  isPresent,
  isThere,
  mayBeMore,
  namesOf,
} from './askers.js';

/** What somebody said of a wait, if anything. */
const detailOf = (detail: unknown): string => {
  if (detail === null) return '';
  return `: ${typeof detail === 'string' ? detail : JSON.stringify(detail)}`;
};

/** `paused: audit`. */
export const waitingFor = ({ reason, detail }: Waiting): string => reason + detailOf(detail);

const waitOf = (waiting: Waiting): string => {
  const { since, until } = waiting;
  return `${waitingFor(waiting)}, since ${formatInstant(since)}${until === null ? '' : `, until ${formatInstant(until)}`}`;
};

/** Null: not for whoever asks, or not counted yet. */
const findQueue = (ledger: JobledgerClient, name: string): Promise<Queue | null> =>
  ledger.queue(name).catch((error: unknown) => {
    if (error instanceof ProblemError && (error.code === 'forbidden' || error.code === 'not_found')) return null;
    throw error;
  });

/** Who asks there, and not for the type: what differs in the case of a letter is another one, and told first. */
const othersOf = (type: string, askers: readonly Asker[]): string => {
  const isNear = (name: string): boolean => name.toLowerCase() === type.toLowerCase();
  const names = [...new Set(askers.flatMap(({ types }) => types ?? []))];
  const told = [...names.filter(isNear), ...names.filter((name) => !isNear(name))];
  if (told.length === 0) return '';
  return `; there they ask for ${namesOf(told)}`;
};

const jobs = (count: number): string => `${count} job${count === 1 ? '' : 's'}`;

const askedOf = (asker: Asker): string => {
  const { workerId, agoMs } = asker;
  const busy = isBusy(asker) ? ` and is busy with ${jobs(asker.holds)}` : '';
  return isThere(asker)
    ? `${workerId} asked ${ago(agoMs)}${busy}`
    : `none is there, the last one asked ${ago(agoMs)}: ${workerId}`;
};

/** The one that is likeliest to come: who asks and has room, who asks, who has jobs and asks again after them. */
const likeliest = (askers: readonly Asker[]): Asker | undefined =>
  askers.find((one) => isPresent(one) && !isBusy(one)) ?? askers.find(isPresent) ?? askers.find(isBusy) ?? askers[0];

/** A worker: whether one is there for the type. */
const workerFor = async (ledger: JobledgerClient, { type, queue: name }: Job, now: number): Promise<string> => {
  const wanted = `a worker that asks for \`${type}\` in \`${name}\``;
  const queue = await findQueue(ledger, name);
  if (queue === null) return wanted;
  if (queue.paused) return `its queue \`${name}\`, which is paused`;
  const ids = [...new Set(queue.claimers.map(({ workerId }) => workerId))];
  const askers = askersOf(queue, await findHolders(ledger, ids), now);
  const best = likeliest(askersFor(type, askers));
  if (best !== undefined) return `${wanted}: ${askedOf(best)}`;
  const who = mayBeMore(askers) ? `none of the last ${askers.length} has` : 'none has within a day';
  return `${wanted}: ${who}${othersOf(type, askers)}`;
};

/**
 * Null: it moves, or has ended.
 * @param now ms since 1970
 */
export const whatItWaitsFor = async (ledger: JobledgerClient, job: Job, now: number): Promise<string | null> => {
  const { status, waiting } = job;
  const leads = (reason: QueuedReason): boolean => follow(status, 'JobQueued', reason) !== undefined;
  if (leads('started')) return 'somebody who starts it, `jobledger jobs start`: it is a draft';
  if (follow(status, 'JobClaimed') !== undefined) return workerFor(ledger, job, now);
  if (waiting === null) return null;
  const wait = waitOf(waiting);
  if (leads('resumed')) return `${wait}; \`jobledger jobs resume\` moves it on`;
  if (waiting.until === null) return wait;
  const leftMs = Date.parse(waiting.until) - now;
  return leftMs > 0
    ? `${wait}, which is in ${formatDuration(leftMs)}`
    : `${wait}, which is over; then ${await workerFor(ledger, job, now)}`;
};

/** As it was: nobody knows who asked then. */
export const whatItWaitedFor = ({ waiting }: Job): string | null => (waiting === null ? null : waitOf(waiting));

/** The replay of a real log: read, play, compare. */
import type { JobledgerClient } from '../../client/client.js';
import { connect } from '../connection.js';
import type { ReplayArguments } from '../demo/arguments.js';
import type { Display } from '../demo/display.js';
import { onService, type LedgerService } from '../demo/ledger-service.js';
import { toItsEnd } from '../demo/unfinished.js';
import { EXIT } from '../exit-codes.js';
import { formatCount, printable } from '../text.js';
import { readLedgerTotals } from './ledger-totals.js';
import * as report from './replay-report.js';
import { ReplayRun } from './replay-run.js';
import { readWorkload, type Workload } from './workload.js';

/** Of the replay's own calls: a service that is away for so long is waited for. */
const RETRY = { deadlineMs: 300_000 };

/** Thrown when a log holds nothing that could be played. */
export class EmptyWorkload extends Error {}

const sayAll = (display: Display, lines: readonly string[]): void => {
  for (const line of lines) display.say(line);
};

const compare = async (
  run: ReplayRun,
  client: JobledgerClient,
  { jobs, totals, malformed }: Workload,
  display: Display,
): Promise<boolean> => {
  display.say('All jobs have ended. Comparing with the log …');
  const ledger = await readLedgerTotals(client, run.queue, jobs, run.position);
  const compared = report.compareTotals(totals, ledger);
  const isEqual = compared.every((one) => one.isEqual) && ledger.differences.count === 0;
  const hasRecovered = run.kill === null || run.kill.recoveredMs !== null;
  const leftOut = malformed.count === 0 ? '' : ` Malformed lines are left out: ${formatCount(malformed.count)}.`;
  sayAll(display, [
    '',
    ...report.runLines(ledger, run.workedMs, run.kill),
    '',
    ...report.comparisonLines(compared),
    ...report.differenceLines(ledger),
    '',
    isEqual ? `Equal: the ledger and the log agree.${leftOut}` : 'DIFFERENT: the ledger and the log do not agree.',
    ...(hasRecovered ? [] : ['FAILED: not every job of the killed worker was taken over.']),
  ]);
  return isEqual && hasRecovered;
};

const playOn = async (
  service: LedgerService,
  args: ReplayArguments,
  workload: Workload,
  display: Display,
  signal: AbortSignal,
): Promise<boolean> => {
  display.say(`Jobledger at ${service.url}${service.isOwn ? ', started for this demo' : ''}`);
  const client = connect({ ...args, url: service.url }, RETRY);
  const run = new ReplayRun(client, args, workload.jobs, display);
  const speed = args.speed === null ? 'as fast as it goes' : `${formatCount(args.speed)} s of the log in a second`;
  display.say(`queue ${run.queue}, ${args.workers} workers, leases of ${formatCount(args.leaseMs)} ms, ${speed}`);
  return toItsEnd(run, client, !service.isOwn, display.say, async () => {
    await run.work(service.url, signal);
    return compare(run, client, workload, display);
  });
};

/** @returns the exit code. @throws EmptyWorkload, or what the file system says. */
export const runReplay = async (args: ReplayArguments, display: Display, signal: AbortSignal): Promise<number> => {
  const workload = await readWorkload(args.file, args.limit);
  display.say(`Replaying ${printable(args.file)}`);
  sayAll(display, report.malformedLines(workload));
  if (workload.jobs.length === 0) throw new EmptyWorkload(`${printable(args.file)} has no job that could be replayed`);
  sayAll(display, report.workloadLines(workload));
  const isEqual = await onService(args, signal, (service, isOver) => playOn(service, args, workload, display, isOver));
  return isEqual ? EXIT.OK : EXIT.DIFFERENT;
};

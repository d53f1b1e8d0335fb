/**
 * The catalogue: real work on the ledger, with workers that die and freeze, and an independent check of what came out
 * of it.
 */
import { realpath } from 'node:fs/promises';
import type { JobledgerClient } from '../../client/client.js';
import { connect } from '../connection.js';
import { EXIT } from '../exit-codes.js';
import { UsageError } from '../usage-error.js';
import type { CatalogueArguments } from './arguments.js';
import { catalogue, type PlannedJob } from './catalogue.js';
import { DemoRun } from './demo-run.js';
import type { Display } from './display.js';
import { tallyFileSystem } from './file-system.js';
import { toItsEnd } from './unfinished.js';
import { onService, type LedgerService } from './ledger-service.js';
import { readOutcome } from './outcome.js';
import { compare, comparisonTable, remarks, runTable } from './report.js';
import { formatBytes, formatCount, printable } from '../text.js';

/** Of the demo's own calls: an outage of the service is waited for. */
const RETRY = { deadlineMs: 60_000 };

const report = async (run: DemoRun, client: JobledgerClient, folder: string, display: Display): Promise<boolean> => {
  display.say('All jobs have ended. Comparing with the file system …');
  const outcome = await readOutcome(client, run.queue, run.startedAt);
  const compared = compare(outcome, await tallyFileSystem(folder));
  const isEqual = compared.every((one) => one.isEqual) && outcome.failures.length === 0;
  const verdict = isEqual
    ? 'Equal: the ledger and the file system agree.'
    : 'DIFFERENT: the ledger and the file system do not agree.';
  const lines = [
    '',
    ...runTable({ outcome, workedMs: run.workedMs, faults: run.faults }),
    '',
    ...comparisonTable(compared),
    ...remarks(outcome),
    '',
    verdict,
    ...(run.faultsAreOver ? [] : ['FAILED: not every fault was recovered from, or no zombie call was refused.']),
  ];
  for (const line of lines) display.say(line);
  return isEqual && run.faultsAreOver;
};

const runOn = async (
  service: LedgerService,
  args: CatalogueArguments,
  plans: readonly PlannedJob[],
  display: Display,
  signal: AbortSignal,
): Promise<boolean> => {
  display.say(`Jobledger at ${service.url}${service.isOwn ? ', started for this demo' : ''}`);
  const client = connect({ ...args, url: service.url }, RETRY);
  const run = new DemoRun(client, args, plans, display);
  display.say(`queue ${run.queue}, ${args.workers} workers, leases of ${formatCount(args.leaseMs)} ms`);
  return toItsEnd(run, client, !service.isOwn, display.say, async () => {
    await run.work(service.url, signal);
    return report(run, client, args.folder, display);
  });
};

/** @returns the exit code. */
export const runCatalogue = async (
  args: CatalogueArguments,
  display: Display,
  signal: AbortSignal,
): Promise<number> => {
  const folder = await realpath(args.folder);
  const plans = await catalogue(folder);
  if (plans.length === 0) throw new UsageError(`${printable(args.folder)} is empty: there is nothing to catalogue`);
  const entries = plans.reduce((sum, plan) => sum + plan.entries, 0);
  const bytes = plans.reduce((sum, plan) => sum + plan.bytes, 0);
  const size = `${formatCount(plans.length)} jobs, ${formatCount(entries)} files, ${formatBytes(bytes)}`;
  display.say(`Cataloguing ${printable(args.folder)}: ${size}`);
  const isEqual = await onService(args, signal, (service, isOver) =>
    runOn(service, { ...args, folder }, plans, display, isOver),
  );
  return isEqual ? EXIT.OK : EXIT.DIFFERENT;
};

/**
 * `npm run demo`: real work on the ledger, with workers that die and freeze, and an independent check of what came out
 * of it. Exit codes: 0 when everything is equal, 1 when it is not or the run failed, 2 when the command line is wrong,
 * 130 when it was interrupted.
 */
import { realpath } from 'node:fs/promises';
import { JobledgerClient } from '../client/client.js';
import { type DemoArguments, readArguments, UsageError } from './demo/arguments.js';
import { catalogue, type PlannedJob } from './demo/catalogue.js';
import { DemoRun } from './demo/demo-run.js';
import { createDisplay, type Display } from './demo/display.js';
import { tallyFileSystem } from './demo/file-system.js';
import { findService, type LedgerService } from './demo/ledger-service.js';
import { readOutcome } from './demo/outcome.js';
import { compare, comparisonTable, remarks, runTable } from './demo/report.js';
import { formatBytes, formatCount, printable } from './demo/text.js';

const DIFFERENT = 1;
const WRONG_USAGE = 2;
const INTERRUPTED = 130;

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
  args: DemoArguments,
  plans: readonly PlannedJob[],
  display: Display,
  signal: AbortSignal,
): Promise<boolean> => {
  display.say(`Jobledger at ${service.url}${service.isOwn ? ', started for this demo' : ''}`);
  const client = new JobledgerClient({ baseUrl: service.url });
  const run = new DemoRun(client, args, plans, display);
  display.say(`queue ${run.queue}, ${args.workers} workers, leases of ${formatCount(args.leaseMs)} ms`);
  try {
    await run.work(service.url, signal);
    return await report(run, client, args.folder, display);
  } catch (error) {
    await run.abandon();
    if (!service.isOwn) await run.cancelUnfinished().catch(() => display.say(`jobs are left in queue ${run.queue}`));
    throw error;
  } finally {
    run.close();
  }
};

const demo = async (args: DemoArguments, signal: AbortSignal): Promise<boolean> => {
  const display = createDisplay(process.stdout);
  const folder = await realpath(args.folder);
  const plans = await catalogue(folder);
  if (plans.length === 0) throw new UsageError(`${printable(args.folder)} is empty: there is nothing to catalogue`);
  const entries = plans.reduce((sum, plan) => sum + plan.entries, 0);
  const bytes = plans.reduce((sum, plan) => sum + plan.bytes, 0);
  const size = `${formatCount(plans.length)} jobs, ${formatCount(entries)} files, ${formatBytes(bytes)}`;
  display.say(`Cataloguing ${printable(args.folder)}: ${size}`);
  const service = await findService(args, signal);
  try {
    signal.throwIfAborted();
    return await runOn(service, { ...args, folder }, plans, display, signal);
  } finally {
    await service.close();
  }
};

const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => interrupt.abort(new Error(`interrupted by ${signal}`)));
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

try {
  const args = readArguments(process.argv.slice(2), process.env, process.cwd());
  if (!(await demo(args, interrupt.signal))) process.exitCode = DIFFERENT;
} catch (error) {
  say(`demo: ${error instanceof Error ? error.message : String(error)}`);
  if (error instanceof UsageError) process.exitCode = WRONG_USAGE;
  else process.exitCode = interrupt.signal.aborted ? INTERRUPTED : DIFFERENT;
}

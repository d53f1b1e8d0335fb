/** `jobledger rebuild` and `jobledger verify`: read models made anew or held against the log, and the log itself. */
import { type JobledgerClient, ProblemError, type Upkeep, type VerifyLogRequest } from '../../client/client.js';
import { type Call, command } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { type Column, renderTable } from '../table.js';
import { bar, formatCount, formatDuration } from '../text.js';
import { UsageError } from '../usage-error.js';
import { printJson, printLines } from './pages.js';

/** What is verified beside read models. */
const LOG = 'log';
const LOOK_MS = 500;
const BAR_WIDTH = 24;
/** A run survives its process, so an outage is waited for. */
const OUTAGE_MS = 300_000;

type JsonCall = Call<'json'>;

const nameOf = ({ projection }: Upkeep): string => projection ?? LOG;

const progressOf = (run: Upkeep): string => {
  const speed = run.eventsPerSecond === null ? '' : `  ${formatCount(Math.round(run.eventsPerSecond))} events/s`;
  const eta = run.etaMs === null ? '' : `  ${formatDuration(run.etaMs)} left`;
  return `${run.kind} ${nameOf(run)}  ${bar(run.percent / 100, BAR_WIDTH)} ${run.percent} %${speed}${eta}  ${run.step}`;
};

/** Until it has ended, with its progress on a terminal. */
const finished = async ({ terminal, ledger, signal }: JsonCall, started: Upkeep): Promise<Upkeep> => {
  let run = started;
  while (run.finishedAt === null) {
    terminal.status(progressOf(run));
    run = await ledger.upkeep(run.id, { waitMs: LOOK_MS }, { signal, deadlineMs: OUTAGE_MS });
  }
  terminal.status(null);
  return run;
};

const counted = (count: number, what: string, more = ''): string => `${count}${more} ${what}${count === 1 ? '' : 's'}`;

const parkedOf = ({ parked }: Upkeep): number => parked ?? 0;

/** A stream that cannot be read is a finding like a row that differs; to the service the rest may still be right. */
const isSound = (run: Upkeep): boolean => run.ok === true && parkedOf(run) === 0;

/** The chain of hashes says nothing of what is behind its first break. */
const uncheckedOf = ({ firstBad, head }: Upkeep): string => {
  if (firstBad === null || BigInt(head) <= BigInt(firstBad)) return '';
  const next = BigInt(firstBad) + 1n;
  return `; ${String(next) === head ? head : `${next} to ${head}`} not checked`;
};

/** What was found, in half a line. */
const findingOf = (run: Upkeep): string => {
  if (isSound(run)) return 'as it should be';
  const rows =
    run.differing === null || run.differing === 0
      ? null
      : `${counted(run.differing, 'row', run.truncated ? '+' : '')} ${run.differing === 1 ? 'differs' : 'differ'}`;
  const bad = run.firstBad === null ? null : `first bad position ${run.firstBad}`;
  const why = run.reason === null ? null : `${run.reason}${uncheckedOf(run)}`;
  const parked = parkedOf(run) === 0 ? null : `${counted(parkedOf(run), 'stream')} parked`;
  return [rows, bad, why, run.repaired ? 'repaired' : null, parked].filter((one) => one !== null).join(', ');
};

/** @param upTo of a log that is not what was written: not how far it was read */
const columns = (upTo: string): readonly Column<Upkeep>[] => [
  { title: 'WHAT', value: nameOf },
  {
    title: 'OK',
    value: (run) => (isSound(run) ? 'yes' : 'NO'),
    style: (run) => (isSound(run) ? 'green' : 'red'),
  },
  { title: 'EVENTS', value: ({ events }) => formatCount(events), align: 'right', dispensable: 1 },
  { title: upTo, value: ({ position }) => position, align: 'right', dispensable: 2 },
  {
    title: 'TOOK',
    value: ({ startedAt, finishedAt }) => formatDuration(Date.parse(finishedAt ?? startedAt) - Date.parse(startedAt)),
    align: 'right',
    dispensable: 1,
  },
  { title: 'FOUND', value: findingOf, least: 12 },
];

const NAMED_ROWS = 20;

const print = async ({ values, terminal }: JsonCall, runs: readonly Upkeep[]): Promise<void> => {
  if (values.flag('json')) return printJson(terminal, runs);
  await printLines(
    terminal,
    renderTable(columns(runs.some(({ firstBad }) => firstBad !== null) ? 'RIGHT TO' : 'UP TO'), runs, terminal),
  );
  for (const run of runs) {
    for (const { table, id, kind, fields } of run.differences.slice(0, NAMED_ROWS)) {
      await terminal.line(`${table} ${id}: ${kind}${fields.length === 0 ? '' : ` in ${fields.join(', ')}`}`);
    }
    if (parkedOf(run) > 0) {
      const where = `GET /v1/admin/projections/${nameOf(run)} says why`;
      const streams = counted(parkedOf(run), 'stream');
      await terminal.line(`${nameOf(run)} skips ${streams} with an event that cannot be read: ${where}`);
    }
    if (run.differences.length > NAMED_ROWS) terminal.note(`the first ${NAMED_ROWS}; --json has up to 1,000`);
  }
};

/** A run that failed is no finding. A repair puts rows right, and makes no stream readable. */
const codeOf = (runs: readonly Upkeep[]): number => {
  if (runs.some(({ state }) => state !== 'done')) return EXIT.REFUSED;
  const isRight = (run: Upkeep): boolean => isSound(run) || (run.repaired && parkedOf(run) === 0);
  return runs.every(isRight) ? EXIT.OK : EXIT.DIFFERENT;
};

/** @returns what was begun; undefined for what has nothing to be held against, and nobody asked for by name */
type Start = () => Promise<Upkeep | undefined>;

const runAll = async (call: JsonCall, starts: readonly Start[]): Promise<number> => {
  const runs: Upkeep[] = [];
  // One after another: a second one of another kind would be turned away.
  for (const start of starts) {
    const run = await start();
    if (run !== undefined) runs.push(await finished(call, run));
  }
  await print(call, runs);
  return codeOf(runs);
};

const projectionNames = async (ledger: JobledgerClient): Promise<readonly string[]> =>
  (await ledger.projections()).items.map(({ name }) => name);

export const rebuild = command({
  words: ['rebuild'],
  summary: 'make read models anew from the log, beside the live ones',
  about:
    'The read models are jobs and counters; where the log is in EventStoreDB, job_rows and counters: a name that is not there is\nanswered with those that are. Exit code 4 when a stream has an event that cannot be read.',
  positionals: { usage: 'PROJECTION…', min: 1, max: 20 },
  options: { json: { help: 'the runs as the service has them' } },
  asksService: true,
  examples: ['jobledger rebuild jobs', 'jobledger rebuild jobs counters'],
  run: (call) =>
    runAll(
      call,
      call.values.positionals.map((name) => () => call.ledger.rebuild(name, { waitMs: 0 })),
    ),
});

const keptHead = (text: string | undefined): VerifyLogRequest => {
  if (text === undefined) return {};
  const [, position, hash] = /^(\d+):([0-9a-f]{64})$/i.exec(text) ?? [];
  if (position === undefined || hash === undefined) {
    throw new UsageError('--head: expected POSITION:HASH, as GET /v1/log/head answered them');
  }
  return { head: { position, hash } };
};

/** Where the log is elsewhere than the rows, neither rows of jobs nor a chain of hashes can be verified. */
const unlessImpossible = async ({ terminal }: JsonCall, name: string, start: () => Promise<Upkeep>) => {
  try {
    return await start();
  } catch (error) {
    if (!(error instanceof ProblemError) || error.code !== 'not_implemented') throw error;
    terminal.note(`${name} is not verified: ${error.detail}`);
    return undefined;
  }
};

export const verify = command({
  words: ['verify'],
  summary: 'hold read models and the log against what was recorded',
  about:
    'Without a name: every read model, then the log; what cannot be verified where the log is in EventStoreDB (job_rows, log) is\nnamed and passed over. Of rows that differ it names the fields, not the values. Exit code 4 when a row is not what the log\nsays, a stream has an event that cannot be read, or the log is not what was written; with --repair 0 when all that was found was\nput right.',
  positionals: { usage: '[PROJECTION | log]…', min: 0, max: 20 },
  options: {
    repair: { help: 'put rows right that differ; nothing repairs a log' },
    head: { value: 'POSITION:HASH', help: 'an end of the log that was kept elsewhere: it must still be there' },
    json: { help: 'the runs as the service has them' },
  },
  asksService: true,
  examples: ['jobledger verify', 'jobledger verify jobs --repair', 'jobledger verify log --head 1234:9f86d0…'],
  run: async (call) => {
    const { values, ledger } = call;
    const repair = values.flag('repair');
    const head = keptHead(values.text('head'));
    const given = values.positionals;
    if (head.head !== undefined && given.length > 0 && !given.includes(LOG)) {
      throw new UsageError(`--head is about the log, and only ${given.join(', ')} is verified`);
    }
    const begin = (name: string): Promise<Upkeep> =>
      name === LOG ? ledger.verifyLog({ ...head, waitMs: 0 }) : ledger.verifyProjection(name, { repair, waitMs: 0 });
    const names = given.length > 0 ? given : [...(await projectionNames(ledger)), LOG];
    // Whoever has the end of a log asks for that log.
    const isAskedFor = (name: string): boolean => given.length > 0 || (name === LOG && head.head !== undefined);
    return runAll(
      call,
      names.map((name) => () => (isAskedFor(name) ? begin(name) : unlessImpossible(call, name, () => begin(name)))),
    );
  },
});

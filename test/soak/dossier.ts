/** What there is to find out why something is wrong: the story of the jobs that it names, and files with all of it. */
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LedgerEvent } from '../../src/api/contract.js';
import type { Violation } from '../support/e2e/history.js';
import type { RecordedCall } from '../support/e2e/recorder.js';
import type { MadeFault } from './saboteur.js';
import type { Broken } from './soak.js';

const JOB_ID = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const SHOWN_JOBS = 3;
const SHOWN_VIOLATIONS = 30;
const BODY_WIDTH = 160;

const namedJobs = (violations: readonly Violation[]): readonly string[] => [
  ...new Set(violations.flatMap((violation) => violation.match(JOB_ID) ?? [])),
];

const brief = (value: unknown): string => {
  const text = JSON.stringify(value ?? null);
  return text.length > BODY_WIDTH ? `${text.slice(0, BODY_WIDTH)}…` : text;
};

const eventLine = ({ position, at, type, from, to, run, attempt, actor, commandId, data }: LedgerEvent): string =>
  `  ${position.padStart(8)} ${at} ${type} ${from === to ? (to ?? '') : `${from ?? ''} → ${to ?? ''}`} run ${run} attempt ${attempt}, ${actor.type} ${actor.id ?? ''}, key ${commandId ?? 'none'} ${brief(data)}`;

/** What was asked and answered, in short: of a claim only what concerns the job. */
const outcomeOf = ({ outcome }: RecordedCall, jobId: string): string => {
  if (outcome === null) return 'in flight';
  if (outcome.kind !== 'answered') return `${outcome.kind}: ${outcome.cause}`;
  const { status, headers, body } = outcome;
  const { jobs, items } = (body ?? {}) as { jobs?: readonly object[]; items?: readonly object[] };
  const concerned = (jobs ?? items)?.filter((each) => JSON.stringify(each).includes(jobId));
  const replayed = headers['idempotent-replayed'] === 'true' ? ' replayed' : '';
  const stamp = headers['x-position'] === undefined ? '' : ` at ${String(headers['x-position'])}`;
  return `${status}${replayed}${stamp} ${brief(concerned ?? body)}`;
};

const concerns = ({ path, body, outcome }: RecordedCall, jobId: string): boolean =>
  path.includes(jobId) || JSON.stringify([body, outcome]).includes(jobId);

const callLine = (call: RecordedCall, jobId: string): string =>
  `  #${call.id} ticks ${call.invokedAt}–${call.returnedAt ?? ''} ${call.lane} at ${call.node}: ${call.method} ${call.path} key ${call.key ?? 'none'} ${brief(call.body)}\n      ${outcomeOf(call, jobId)}`;

const faultLine = ({ name, node, beganAt, endedAt, at, ms, error }: MadeFault): string =>
  `  ticks ${beganAt}–${endedAt ?? ''} ${at} ${name}${node === null ? '' : ` ${node}`}, ${Math.round(ms ?? 0)} ms${error === null ? '' : `: ${error}`}`;

const storyOf = ({ history }: Broken, jobId: string): readonly string[] =>
  history === null
    ? []
    : [
        `job ${jobId}`,
        ...history.events.filter((event) => event.jobId === jobId).map(eventLine),
        ...history.calls.filter((call) => concerns(call, jobId)).map((call) => callLine(call, jobId)),
      ];

/** For whoever reads the output. */
export const dossier = (broken: Broken): readonly string[] => {
  const { violations, faults } = broken;
  const jobs = namedJobs(violations).slice(0, SHOWN_JOBS);
  return [
    ...violations.slice(0, SHOWN_VIOLATIONS),
    ...(violations.length > SHOWN_VIOLATIONS ? [`… and ${violations.length - SHOWN_VIOLATIONS} more`] : []),
    'faults of this part, by ticks of the calls:',
    ...faults.map(faultLine),
    ...jobs.flatMap((jobId) => storyOf(broken, jobId)),
  ];
};

const writeLines = async (file: string, items: readonly unknown[]): Promise<void> => {
  const stream = createWriteStream(file);
  for (const item of items) stream.write(`${JSON.stringify(item)}\n`);
  await new Promise<void>((resolve, reject) => {
    stream.once('error', reject);
    stream.end(resolve);
  });
};

/** All of it, one document a line. */
export const writeDossier = async (folder: string, { violations, history, faults }: Broken): Promise<void> => {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'violations.txt'), `${violations.join('\n')}\n`);
  await writeLines(join(folder, 'faults.ndjson'), faults);
  await writeLines(join(folder, 'events.ndjson'), history?.events ?? []);
  await writeLines(join(folder, 'calls.ndjson'), history?.calls ?? []);
  await writeLines(join(folder, 'jobs.ndjson'), history?.jobs ?? []);
};

/** An event as one row for people. */
import type { LedgerEvent } from '../../client/client.js';
import { isTerminal } from '../../domain/job-chart.js';
import type { Column } from '../table.js';
import type { Style } from '../terminal.js';
import { formatAttempt, formatDuration, formatInstant } from '../text.js';

const moveOf = ({ from, to }: LedgerEvent): string => {
  if (to === null) return '';
  return from === to ? to : `${from ?? ''}→${to}`;
};

/** The key too where it is another name than the actor's, as a worker's is. */
export const actorOf = ({ actor, keyId }: LedgerEvent): string => {
  const who = actor.id === null ? actor.type : `${actor.type} ${actor.id}`;
  return keyId === null || keyId === actor.id ? who : `${who} (key ${keyId})`;
};

interface ErrorLike {
  readonly code?: unknown;
  readonly message?: unknown;
}

/** By what a worker ended an attempt whose job was being cancelled. */
interface Outcome {
  readonly command?: unknown;
  readonly result?: unknown;
  readonly error?: unknown;
  readonly reason?: unknown;
}

const saidOf = ({ command, result, reason }: Outcome): string => {
  const more = command === 'complete' ? JSON.stringify(result) : reason;
  return typeof more === 'string' ? `${String(command)}: ${more}` : String(command);
};

interface Evidence {
  readonly rule?: unknown;
  readonly lastBeatAt?: unknown;
  readonly lastActivityAt?: unknown;
  readonly thresholds?: Readonly<Record<string, unknown>>;
}

const isInstant = (value: unknown): value is string => typeof value === 'string';

/** On what a rule ended or took back an attempt: what it saw, and what it held that against. */
const evidenceOf = ({ rule, lastBeatAt, lastActivityAt, thresholds = {} }: Evidence): string => {
  const limits = Object.entries(thresholds).map(
    ([name, value]) =>
      `${name} ${typeof value === 'number' && name.endsWith('Ms') ? formatDuration(value) : String(value)}`,
  );
  const seen = [
    isInstant(lastBeatAt) ? `last call ${formatInstant(lastBeatAt)}` : null,
    isInstant(lastActivityAt) ? `last work ${formatInstant(lastActivityAt)}` : null,
  ];
  return [typeof rule === 'string' ? rule : null, ...seen, ...limits].filter((part) => part !== null).join(', ');
};

const NUMBERS = ['processed', 'failed', 'skipped', 'current', 'total'] as const;

/** What one report of progress added or set; nothing of what it left alone. */
const progressOf = (data: LedgerEvent['data']): string => {
  const numbers = NUMBERS.flatMap((name) => {
    const value = data[name];
    return typeof value === 'number' && (value !== 0 || name === 'total') ? [`${name} ${value}`] : [];
  });
  const stage = typeof data['stage'] === 'string' ? [`stage ${data['stage']}`] : [];
  const message = typeof data['message'] === 'string' ? [data['message']] : [];
  return [...stage, ...numbers, ...message].join(', ');
};

/** Of the data what tells most; `--json` has all of it. */
const noteOf = ({ type, data, reason }: LedgerEvent): string => {
  if (type === 'ProgressRecorded') return progressOf(data);
  const outcome = data['outcome'] as Outcome | null | undefined;
  const error = (data['error'] ?? outcome?.error) as ErrorLike | null | undefined;
  const evidence = data['evidence'] as Evidence | null | undefined;
  const command = type === 'CommandRefused' ? `${String(data['command'])}: ${String(data['code'])}` : null;
  const ofRule = evidence == null ? null : evidenceOf(evidence);
  const said = outcome == null ? null : `its worker said ${saidOf(outcome)}`;
  const told = [data['unreadable'], command, reason, data['reason'], said, error?.code, error?.message, ofRule];
  return [...new Set(told.filter((one) => typeof one === 'string'))].join(' ');
};

const styleOf = ({ type, to }: LedgerEvent): Style | null => {
  if (/Failed|TimedOut|Expired|Refused|DeadLettered/.test(type)) return 'red';
  return to !== null && isTerminal(to) ? 'green' : null;
};

export const eventColumns = (withJob: boolean): readonly Column<LedgerEvent>[] => [
  { title: 'POSITION', value: ({ position }) => position, align: 'right' },
  { title: 'AT (UTC)', value: ({ at }) => formatInstant(at), dispensable: 3 },
  ...(withJob ? [{ title: 'JOB', value: ({ jobId }: LedgerEvent) => jobId ?? '', dispensable: 2 }] : []),
  { title: 'EVENT', value: ({ type }) => type, style: styleOf },
  { title: 'STATUS', value: moveOf, dispensable: 1, least: 10 },
  {
    title: 'ATTEMPT',
    value: ({ run, attempt }) => (run === null ? '' : formatAttempt(run, attempt)),
    align: 'right',
    dispensable: 5,
  },
  { title: 'BY', value: actorOf, least: 8, dispensable: 4 },
  { title: 'WHY', value: noteOf, least: 10, dispensable: 2 },
];

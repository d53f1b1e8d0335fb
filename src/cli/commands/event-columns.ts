/** An event as one row for people. */
import type { LedgerEvent } from '../../client/client.js';
import { isTerminal } from '../../domain/job-chart.js';
import type { Column } from '../table.js';
import type { Style } from '../terminal.js';
import { formatAttempt, formatInstant } from '../text.js';

const moveOf = ({ from, to }: LedgerEvent): string => {
  if (to === null) return '';
  return from === to ? to : `${from ?? ''}→${to}`;
};

/** The key too where it is another name than the actor's, as a worker's is. */
const actorOf = ({ actor, keyId }: LedgerEvent): string => {
  const who = actor.id === null ? actor.type : `${actor.type} ${actor.id}`;
  return keyId === null || keyId === actor.id ? who : `${who} (key ${keyId})`;
};

interface ErrorLike {
  readonly code?: unknown;
  readonly message?: unknown;
}

/** Of the data what tells most; `--json` has all of it. */
const noteOf = ({ data, reason }: LedgerEvent): string => {
  const error = data['error'] as ErrorLike | null | undefined;
  const told = [
    reason,
    data['reason'],
    data['rule'],
    error?.code,
    error?.message,
    data['code'],
    data['stage'],
    data['processed'],
  ];
  return [...new Set(told.filter((one) => typeof one === 'string' || typeof one === 'number'))].join(' ');
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

/**
 * One line of a log in the Standard Workload Format (Parallel Workloads Archive, version 2.2): 18 numbers, −1 where a
 * value is not known. Pure.
 */

const FIELDS = [
  ...['job number', 'submit time', 'wait time', 'run time', 'allocated processors', 'average CPU time'],
  ...['used memory', 'requested processors', 'requested time', 'requested memory', 'status', 'user', 'group'],
  ...['executable', 'queue', 'partition', 'preceding job', 'think time'],
];

/** Seconds that are not known are null. */
export interface SwfEntry {
  readonly job: number;
  readonly submit: number | null;
  readonly wait: number | null;
  readonly run: number | null;
  readonly status: SwfStatus;
}

export type SwfStatus = keyof typeof STATUSES;

/** What the eleventh number says. */
export const STATUSES = {
  '-1': 'not known',
  '0': 'the job failed',
  '1': 'the job completed',
  '2': 'a part of a job that goes on',
  '3': 'the last part of a job that completed',
  '4': 'the last part of a job that failed',
  '5': 'the job was cancelled',
} as const;

/** What a line is. */
export type SwfLine =
  | { readonly kind: 'entry'; readonly entry: SwfEntry }
  | { readonly kind: 'comment'; readonly text: string }
  | { readonly kind: 'blank' }
  | { readonly kind: 'malformed'; readonly reason: string };

/** Beyond it a number is no time: 30,000 years in seconds. Sums stay exact. */
const LARGEST = 1e12;
const SHOWN_CHARACTERS = 30;

const shown = (text: string): string =>
  JSON.stringify(text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`);

/** Thrown and caught here: what is wrong with a line. */
class Malformed extends Error {}

const wrong = (at: number, expected: string, text: string): Malformed =>
  new Malformed(`field ${at + 1} (${FIELDS[at]}): expected ${expected}, not ${shown(text)}`);

/** A count, or null for −1. */
const whole = (fields: readonly string[], at: number): number | null => {
  const text = fields[at] ?? '';
  if (/^-1(\.0*)?$/.test(text)) return null;
  const value = Number(text);
  if (/^\+?\d+(\.0*)?$/.test(text) && value <= LARGEST) return value;
  throw wrong(at, `a whole number from 0 to ${LARGEST}, or -1`, text);
};

const statusOf = (fields: readonly string[]): SwfStatus => {
  const at = FIELDS.indexOf('status');
  const text = fields[at] ?? '';
  if (Object.hasOwn(STATUSES, text)) return text as SwfStatus;
  throw wrong(at, `one of ${Object.keys(STATUSES).sort().join(', ')}`, text);
};

const entryOf = (fields: readonly string[]): SwfEntry => {
  if (fields.length !== FIELDS.length) throw new Malformed(`${FIELDS.length} fields expected, not ${fields.length}`);
  const notNumber = fields.findIndex((field) => !/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(field));
  if (notNumber >= 0) throw wrong(notNumber, 'a number', fields[notNumber] ?? '');
  const [job, submit, wait, run] = [whole(fields, 0), whole(fields, 1), whole(fields, 2), whole(fields, 3)];
  if (job === null) throw wrong(0, 'a whole number', fields[0] ?? '');
  return { job, submit, wait, run, status: statusOf(fields) };
};

/** Any blanks part the fields, also before the first and behind the last. */
export const readLine = (line: string): SwfLine => {
  const text = line.trim();
  if (text === '') return { kind: 'blank' };
  if (text.startsWith(';')) return { kind: 'comment', text: text.replace(/^;+\s*/, '') };
  try {
    return { kind: 'entry', entry: entryOf(text.split(/\s+/)) };
  } catch (error) {
    if (error instanceof Malformed) return { kind: 'malformed', reason: error.message };
    throw error;
  }
};

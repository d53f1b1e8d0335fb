/**
 * The jobs of a log in the Standard Workload Format, and its own totals. What is not told by the format's words:
 * parts of a job (status 2, 3, 4) that stand behind the line of the whole job are not jobs; without such a line they
 * are one job, whose run time is their sum. A time that is not known (−1) counts as 0, a submit time as that of the job
 * before.
 */
import { type SwfEntry, type SwfStatus, readLine } from './swf-line.js';
import { LONGEST_LINE, textLines } from './text-lines.js';

/** How a job of a log ended. */
export type Ending = 'completed' | 'failed' | 'cancelled' | 'unknown';

export interface LoggedJob {
  /** Where it stands in the file, from 1: the name of the job, since numbers may repeat. */
  readonly line: number;
  readonly job: number;
  /** Seconds, as in the file. */
  readonly submit: number;
  readonly wait: number;
  readonly run: number;
  readonly ending: Ending;
}

export interface Totals {
  readonly jobs: number;
  readonly byEnding: Readonly<Record<Ending, number>>;
  readonly runSeconds: bigint;
}

export interface MalformedLine {
  readonly line: number;
  readonly reason: string;
}

export interface Workload {
  /** In the order of their submit times. */
  readonly jobs: readonly LoggedJob[];
  readonly totals: Totals;
  readonly malformed: { readonly count: number; readonly first: readonly MalformedLine[] };
  /** Lines that are a part of a job with a line of its own, or of one that was put together. */
  readonly parts: number;
  /** Jobs, by what is not known of them. */
  readonly unknown: { readonly submit: number; readonly wait: number; readonly run: number };
  /** Jobs submitted before the one above them. */
  readonly outOfOrder: number;
  /** What the header says: `MaxJobs` and such. */
  readonly header: ReadonlyMap<string, string>;
  /** Whether the file has more than the jobs that were asked for. */
  readonly isCut: boolean;
}

const NAMED_LINES = 100;

const ENDINGS: Readonly<Record<SwfStatus, Ending>> = {
  '-1': 'unknown',
  '0': 'failed',
  '1': 'completed',
  '2': 'unknown',
  '3': 'completed',
  '4': 'failed',
  '5': 'cancelled',
};

const isPart = (status: SwfStatus): boolean => status === '2' || status === '3' || status === '4';

interface OpenJob {
  line: number;
  entry: SwfEntry;
  /** Whether all lines of it so far are parts. */
  isOfParts: boolean;
}

/** Puts lines together to jobs, in the order of the file. */
export class WorkloadReader {
  readonly #jobs: LoggedJob[] = [];
  readonly #header = new Map<string, string>();
  readonly #malformed: MalformedLine[] = [];
  readonly #unknown = { submit: 0, wait: 0, run: 0 };
  #malformedCount = 0;
  #parts = 0;
  #outOfOrder = 0;
  #line = 0;
  #open: OpenJob | null = null;
  #isCut = false;

  constructor(private readonly limit = Infinity) {}

  /** Whether there are as many jobs as were asked for. */
  get isFull(): boolean {
    return this.#isCut;
  }

  push(text: string): void {
    if (this.#isCut) return;
    this.#line += 1;
    // The mark of UTF-8 in the first line, as the bytes that it is.
    const line = this.#line === 1 ? text.replace(/^\u00ef\u00bb\u00bf/, '') : text;
    const read = line.length > LONGEST_LINE ? tooLong : readLine(line);
    if (read.kind === 'entry') this.#take(read.entry);
    if (read.kind === 'comment') this.#keepHeader(read.text);
    if (read.kind === 'malformed') this.#note(read.reason);
  }

  end(): Workload {
    if (!this.#isCut) this.#close();
    const jobs = this.#jobs.sort((a, b) => a.submit - b.submit || a.line - b.line);
    return {
      jobs,
      totals: totalsOf(jobs),
      malformed: { count: this.#malformedCount, first: this.#malformed },
      parts: this.#parts,
      unknown: this.#unknown,
      outOfOrder: this.#outOfOrder,
      header: this.#header,
      isCut: this.#isCut,
    };
  }

  #take(entry: SwfEntry): void {
    const open = this.#open;
    if (open?.entry.job === entry.job && isPart(entry.status)) {
      this.#parts += 1;
      if (open.isOfParts) open.entry = joined(open.entry, entry);
    } else if (open?.entry.job === entry.job && open.isOfParts) {
      // The line of the whole, behind its parts.
      Object.assign(open, { line: this.#line, entry, isOfParts: false });
    } else {
      this.#close();
      if (this.#jobs.length >= this.limit) this.#isCut = true;
      if (isPart(entry.status) && !this.#isCut) this.#parts += 1;
      this.#open = { line: this.#line, entry, isOfParts: isPart(entry.status) };
    }
  }

  #close(): void {
    if (this.#open === null) return;
    const { line, entry } = this.#open;
    this.#open = null;
    const before = this.#jobs.at(-1)?.submit ?? 0;
    for (const time of ['submit', 'wait', 'run'] as const) if (entry[time] === null) this.#unknown[time] += 1;
    const { job, submit, wait, run, status } = entry;
    if (submit !== null && submit < before) this.#outOfOrder += 1;
    this.#jobs.push({
      ...{ line, job, submit: submit ?? before, wait: wait ?? 0, run: run ?? 0 },
      ending: ENDINGS[status],
    });
  }

  #keepHeader(text: string): void {
    const [, name, value] = /^(\w+):\s*(.*)$/.exec(text) ?? [];
    if (name !== undefined && value !== undefined && !this.#header.has(name)) this.#header.set(name, value);
  }

  #note(reason: string): void {
    this.#malformedCount += 1;
    if (this.#malformed.length < NAMED_LINES) this.#malformed.push({ line: this.#line, reason });
  }
}

const tooLong = { kind: 'malformed', reason: `longer than ${LONGEST_LINE} characters` } as const;

/** Another part of the same job. */
const joined = (so: SwfEntry, part: SwfEntry): SwfEntry => ({
  ...so,
  run: so.run === null && part.run === null ? null : (so.run ?? 0) + (part.run ?? 0),
  status: part.status,
});

export const totalsOf = (jobs: readonly LoggedJob[]): Totals => {
  const byEnding = { completed: 0, failed: 0, cancelled: 0, unknown: 0 };
  let runSeconds = 0n;
  for (const { ending, run } of jobs) {
    byEnding[ending] += 1;
    runSeconds += BigInt(run);
  }
  return { jobs: jobs.length, byEnding, runSeconds };
};

/**
 * @param limit takes the first jobs of the file, and reads no further.
 * @throws Error when the file cannot be read.
 */
export const readWorkload = async (path: string, limit = Infinity): Promise<Workload> => {
  const reader = new WorkloadReader(limit);
  for await (const lines of textLines(path)) {
    for (const line of lines) reader.push(line);
    if (reader.isFull) break;
  }
  return reader.end();
};

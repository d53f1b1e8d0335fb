/** Everything that the ledger says of itself at rest, read over HTTP from every process. */
import type { Counters, Job, LedgerEvent, Page } from '../../../src/api/contract.js';
import type { Beginning, History } from './history.js';
import type { Answer, Lane, Recorder } from './recorder.js';
import type { ServiceProcess } from './service-process.js';

const PAGE = 200;
/** Of a page of large events, on a machine that others use too. */
const PAGE_LIMIT_MS = 60_000;

/** The log after a position, to its end. */
export const readLog = async (lane: Lane, node: ServiceProcess, from = '0'): Promise<readonly LedgerEvent[]> => {
  const events: LedgerEvent[] = [];
  for (let after = from; ;) {
    const path: string = `/v1/events?after=${after}&limit=${PAGE}`;
    const { status, body }: Answer<Page<LedgerEvent>> = await lane.ask(node, 'GET', path, { timeoutMs: PAGE_LIMIT_MS });
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${JSON.stringify(body)}`);
    events.push(...body.items);
    const last = body.items.at(-1);
    if (last === undefined || body.items.length < PAGE) return events;
    after = last.position;
  }
};

const readJobs = async (lane: Lane, node: ServiceProcess, queue?: string): Promise<readonly Job[]> => {
  const jobs: Job[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const path: string = `/v1/jobs?sort=createdAt&limit=${PAGE}${queue === undefined ? '' : `&queue=${queue}`}${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    const { status, body }: Answer<Page<Job>> = await lane.ask(node, 'GET', path);
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${JSON.stringify(body)}`);
    jobs.push(...body.items);
    cursor = body.nextCursor;
  }
  return jobs;
};

const readCounters = async (lane: Lane, node: ServiceProcess, position: string): Promise<Counters> => {
  const headers = { 'x-min-position': position };
  const { status, body } = await lane.ask<Counters>(node, 'GET', '/v1/counters', { headers });
  if (status !== 200) throw new Error(`GET /v1/counters: ${status} ${JSON.stringify(body)}`);
  return body;
};

/** Of the log what is after the beginning, of the jobs those of one queue. */
export interface Part {
  readonly since: Beginning;
  readonly queue: string;
}

/** @throws Error when a process does not answer: they all have to run. */
export const readLedger = async (recorder: Recorder, part?: Part): Promise<Omit<History, 'calls' | 'log'>> => {
  const lane = recorder.lane('judge');
  const [first] = recorder.nodes;
  if (first === undefined) throw new Error('the cluster has no processes');
  const { position: from } = part?.since ?? { position: '0' };
  const events = await readLog(lane, first, from);
  const head = events.at(-1)?.position ?? from;
  const perNode = await Promise.all(
    recorder.nodes.map(async (node) => ({
      jobs: await readJobs(lane, node, part?.queue),
      counters: await readCounters(lane, node, head),
    })),
  );
  return {
    ...(part === undefined ? {} : { since: part.since }),
    events,
    jobs: perNode.flatMap(({ jobs }) => jobs),
    counters: perNode.map(({ counters }) => counters),
  };
};

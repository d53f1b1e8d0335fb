/** Holds a part of a soak, at rest, against the ledger: calls, log, rows, counters, streams, read models, hashes. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LogHead, Projection } from '../../src/api/contract.js';
import { checkHistory } from '../support/e2e/history-checker.js';
import type { Beginning, History, Violation } from '../support/e2e/history.js';
import { readLedger } from '../support/e2e/read-ledger.js';
import { waitFor } from '../support/e2e/wait.js';
import { PATIENCE_MS, type Site } from './site.js';
import { askUpkeep, endOfUpkeep } from './upkeep.js';
import type { Watchers } from './watchers.js';

export interface Verdict {
  readonly violations: readonly Violation[];
  readonly history: History;
  /** Of the log, to be held against the next one. */
  readonly head: LogHead;
  /** Where the next part begins. */
  readonly next: Beginning;
}

const QUIET_MS = 200;

const headOf = async ({ cluster }: Site): Promise<LogHead> =>
  (await cluster.recorder.lane('judge').insist<LogHead>('GET', '/v1/log/head')).body;

/** Resolves when no process has anything left to append, calls whose callers have gone included. */
const untilQuiet = async (site: Site): Promise<void> => {
  const { nodes, recorder } = site.cluster;
  const lane = recorder.lane('judge');
  const pendingAt = async (node: (typeof nodes)[number]): Promise<number> => {
    const { body } = await lane.ask<string>(node, 'GET', '/metrics');
    return Number(/^jobledger_pending_commands(?:\{[^}]*\})? (\d+)/m.exec(body)?.[1]);
  };
  const isQuiet = async (): Promise<boolean> => {
    const before = await headOf(site);
    const pending = await Promise.all(nodes.map(pendingAt));
    await sleep(QUIET_MS);
    return pending.every((count) => count === 0) && (await headOf(site)).position === before.position;
  };
  await waitFor('the ledger to be quiet', isQuiet, PATIENCE_MS);
};

/** Each read model is what a rebuild makes of the log, and the log is what was written, up to the head that was kept. */
const checkUpkeep = async (site: Site, kept: LogHead): Promise<readonly Violation[]> => {
  const { recorder } = site.cluster;
  const { body } = await recorder
    .lane('judge')
    .insist<{ items: readonly Projection[] }>('GET', '/v1/admin/projections');
  const { position, hash } = kept;
  const checks = [
    ...body.items.map(({ name }) => ({ path: `projections/${name}/verify`, body: {} })),
    { path: 'log/verify', body: position === '0' ? {} : { head: { position, hash } } },
  ];
  const violations: Violation[] = [];
  for (const asked of checks) {
    const id = await waitFor(`${asked.path} to begin`, async () => {
      const begun = await askUpkeep(site, 0, asked);
      return begun ?? (site.cluster.log.place === 'eventstoredb' && 'none');
    });
    if (id === 'none') continue;
    const run = await endOfUpkeep(site, id);
    if (run.state !== 'done' || run.ok !== true) violations.push(`${asked.path}: ${JSON.stringify(run)}`);
  }
  return violations;
};

/**
 * @param part the queue whose jobs it is about, and where it began
 * @param kept the head of the log when it began
 */
export const judge = async (
  site: Site,
  part: { readonly queue: string; readonly since: Beginning },
  watchers: Watchers,
  kept: LogHead,
): Promise<Verdict> => {
  const { cluster } = site;
  await untilQuiet(site);
  const ledger = await readLedger(cluster.recorder, part);
  const { calls } = cluster.recorder;
  const history: History = { log: cluster.log.place, calls: [...calls], ...ledger };
  const jobs = [...new Map(ledger.jobs.map((job) => [job.id, job])).values()];
  const violations = [
    ...checkHistory(history),
    ...(await watchers.judge(ledger.events, jobs)),
    ...(await checkUpkeep(site, kept)),
  ];
  const head = await headOf(site);
  const [counters] = ledger.counters;
  if (counters === undefined) throw new Error('no process told its counters');
  return { violations, history, head, next: { position: head.position, counters } };
};

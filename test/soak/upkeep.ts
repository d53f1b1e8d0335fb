/** Rebuilds and verifications of a ledger that works: asked of one process, ended by whichever lives. */
import type { Upkeep } from '../../src/api/contract.js';
import { waitFor } from '../support/e2e/wait.js';
import { PATIENCE_MS, type Site } from './site.js';

export interface Asked {
  /** Below `/v1/admin/`. */
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** @returns its id; null when it was not begun: nobody answered, or another kind is under way. */
export const askUpkeep = async ({ cluster }: Site, node: number, { path, body }: Asked): Promise<string | null> => {
  const lane = cluster.recorder.lane('operator');
  const options = { body: { waitMs: 0, ...body }, key: null };
  const { outcome } = await lane.send(cluster.node(node), 'POST', `/v1/admin/${path}`, options);
  if (outcome?.kind !== 'answered' || outcome.status === 503 || outcome.status === 501) return null;
  if (outcome.status !== 200 && outcome.status !== 202) {
    throw new Error(`${path}: answered ${outcome.status}: ${JSON.stringify(outcome.body)}`);
  }
  return (outcome.body as Upkeep).id;
};

/** Resolves when it is done, or has failed. */
export const endOfUpkeep = ({ cluster }: Site, id: string): Promise<Upkeep> =>
  waitFor(
    `upkeep ${id} to end`,
    async () => {
      const lane = cluster.recorder.lane('operator');
      const { body } = await lane.insist<Upkeep>('GET', `/v1/admin/upkeep/${id}`);
      return body.state !== 'running' && body;
    },
    PATIENCE_MS,
  );

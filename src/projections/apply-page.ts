/**
 * One page of the log on its way into a projection: tables, parked streams and checkpoint in one transaction, or
 * nothing.
 *
 * When the page cannot be applied because of an event in it, halves of it are tried until that event stands alone: its
 * stream is parked, and everything else of the page is applied, in order.
 */
import type pg from 'pg';
import { Unavailable, type Position, type RecordedEvent } from '../event-store/event-store.js';
import type { Checkpoint, Checkpoints } from './checkpoint.js';
import { isOutdatedIn } from './formats.js';
import { describeError, park, type ParkedStream } from './parked.js';
import type { Fold, Projection } from './projection.js';
import { inTransaction, StatementFailed, type ProjectionSchema, type Tx } from './transaction.js';

export interface PageStep {
  readonly from: Position;
  readonly to: Checkpoint;
  readonly events: readonly RecordedEvent[];
  /** How long the lead is renewed for, ms. */
  readonly leadMs: number;
}

/** What lies in an event and not in the database: data exceptions, broken constraints, a row that is too large. */
const ofTheData = /^(22|23|54)/;

/** Whether an event may be to blame. */
export const isUnreadable = (error: unknown): boolean => {
  // The log that a projection asks for more is away: no event of the page is to blame.
  if (error instanceof Unavailable) return false;
  return !(error instanceof StatementFailed) || (error.code !== null && ofTheData.test(error.code));
};

/** @returns the streams whose event could not be applied */
const applyParts = async (
  projection: Projection,
  events: readonly RecordedEvent[],
  tx: Tx,
): Promise<readonly ParkedStream[]> => {
  if (events.length === 0) return [];
  await tx.query({ text: 'savepoint part' });
  try {
    await projection.apply(events, tx);
    await tx.query({ text: 'release savepoint part' });
    return [];
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    await tx.query({ text: 'rollback to savepoint part; release savepoint part' });
    if (events.length === 1) {
      const { stream, position } = events[0]!;
      return [{ stream, position, error: describeError(error) }];
    }
  }
  const middle = Math.ceil(events.length / 2);
  const before = await applyParts(projection, events.slice(0, middle), tx);
  const skipped = new Set(before.map(({ stream }) => stream));
  const rest = events.slice(middle).filter(({ stream }) => !skipped.has(stream));
  return [...before, ...(await applyParts(projection, rest, tx))];
};

/** Nothing was written: the checkpoint is elsewhere, so another process applied the page. */
class Superseded extends Error {}

/** Thrown by a program that cannot apply what a newer one may have written: nothing is skipped, the newer one goes on. */
export class LeftToNewer extends Error {
  constructor(projection: string, { error }: ParkedStream) {
    super(`${projection} waits for a process of the newer jobledger that writes to this log: ${error}`);
  }
}

export interface ApplyDependencies {
  readonly pool: pg.Pool;
  readonly checkpoints: Checkpoints;
  readonly projection: Projection;
}

/**
 * Applies a page in a transaction of the caller's.
 * @throws LeftToNewer
 * @returns the streams that were parked; undefined when another process had moved the checkpoint: nothing was written
 */
export const applyPageIn = async (
  tx: Tx,
  { checkpoints, projection }: Omit<ApplyDependencies, 'pool'>,
  { from, to, events, leadMs }: PageStep,
): Promise<readonly ParkedStream[] | undefined> => {
  const streams = [...new Set(events.map(({ stream }) => stream))];
  // First: its row lock makes everybody else who applies this page wait here, and then find it done.
  const skipped = await checkpoints.advance(tx, projection, { from, to, leadMs }, streams);
  if (skipped === undefined) return undefined;
  const skips = new Set(skipped);
  const parked = await applyParts(
    projection,
    skips.size === 0 ? events : events.filter(({ stream }) => !skips.has(stream)),
    tx,
  );
  const [first] = parked;
  if (first !== undefined && (await isOutdatedIn(tx))) throw new LeftToNewer(projection.name, first);
  await park(tx, projection.name, parked);
  return parked;
};

/**
 * What was folded of many pages, as a page. Nothing is parked: when an event is to blame, it fails as a whole.
 * @returns false when another process had moved the checkpoint: nothing was written
 */
export const applyFold = async (
  { pool, checkpoints, projection }: ApplyDependencies,
  step: Omit<PageStep, 'events'>,
  fold: Fold,
  schema: ProjectionSchema,
): Promise<boolean> => {
  try {
    await inTransaction(
      pool,
      async (tx) => {
        if ((await checkpoints.advance(tx, projection, step, [])) === undefined) throw new Superseded();
        await fold.write(tx);
      },
      schema,
    );
    return true;
  } catch (error) {
    if (error instanceof Superseded) return false;
    throw error;
  }
};

/**
 * @param schema where the projection's tables are
 * @returns the streams that were parked; undefined when another process had moved the checkpoint: nothing was written
 */
export const applyPage = async (
  on: ApplyDependencies,
  step: PageStep,
  schema?: ProjectionSchema,
): Promise<readonly ParkedStream[] | undefined> => {
  try {
    return await inTransaction(
      on.pool,
      async (tx) => {
        const parked = await applyPageIn(tx, on, step);
        if (parked === undefined) throw new Superseded();
        return parked;
      },
      schema,
    );
  } catch (error) {
    if (error instanceof Superseded) return undefined;
    throw error;
  }
};

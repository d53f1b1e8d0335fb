/** The events of a run as they are recorded, without a gap: what a stream had to drop is asked for again. */
import type { JobledgerClient, LedgerEvent, Position } from '../../client/client.js';

export interface RunEvents {
  /** Where the log stood when the stream began. */
  readonly startedAt: Promise<Position>;
  /** Rejects when the ledger refuses the stream; resolves when the signal ends it. */
  readonly ended: Promise<void>;
}

const START_LIMIT_MS = 30_000;

/** @param types of events; absent: all. */
export const followRun = (
  client: JobledgerClient,
  query: { readonly queue: string; readonly types?: readonly string[] },
  onEvent: (event: LedgerEvent) => void,
  signal: AbortSignal,
): RunEvents => {
  let started: (position: Position) => void = () => undefined;
  const startedAt = new Promise<Position>((resolve) => {
    started = resolve;
  });
  const followFrom = async (after: Position | undefined): Promise<Position | undefined> => {
    const { queue, types } = query;
    for await (const frame of client.streamEvents({ queue: [queue], types, after }, { signal })) {
      if (frame.kind === 'gap') return frame.from;
      if (frame.kind === 'data') onEvent(frame.data);
      else started(frame.position);
    }
    return undefined;
  };
  const follow = async (): Promise<void> => {
    for (let from = await followFrom(undefined); from !== undefined;) from = await followFrom(from);
  };
  return { startedAt, ended: follow() };
};

/** @throws the signal's reason, what the ledger refused the stream with, or Error when there is none for too long. */
export const startOf = async ({ startedAt, ended }: RunEvents, signal: AbortSignal): Promise<Position> => {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(START_LIMIT_MS)]);
  limit.throwIfAborted();
  const given = new Promise<never>((_, reject) => {
    limit.addEventListener('abort', () => reject(new Error('no stream of events', { cause: limit.reason })));
  });
  const early = ended.then(() => Promise.reject(new Error('the stream of events ended')));
  return Promise.race([startedAt, early, given]);
};

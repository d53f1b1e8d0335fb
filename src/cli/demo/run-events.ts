/** The events of a run as they are recorded, without a gap: what a stream had to drop is read from the log. */
import type { Gap, JobledgerClient, LedgerEvent, Position } from '../../client/client.js';

export interface RunEvents {
  /** Where the log stood when the stream began. */
  readonly startedAt: Promise<Position>;
  /** Rejects when the ledger refuses the stream; resolves when the signal ends it. */
  readonly ended: Promise<void>;
}

const PAGE = 200;
const START_LIMIT_MS = 30_000;

const fillGap = async (
  client: JobledgerClient,
  { from, to }: Gap,
  onEvent: (event: LedgerEvent) => void,
): Promise<void> => {
  for await (const event of client.everyItem((cursor) => client.events({ after: from, limit: PAGE, cursor }))) {
    if (BigInt(event.position) > BigInt(to)) return;
    onEvent(event);
  }
};

/** @param onEvent may be told of events of other queues too. */
export const followRun = (
  client: JobledgerClient,
  queue: string,
  onEvent: (event: LedgerEvent) => void,
  signal: AbortSignal,
): RunEvents => {
  let started: (position: Position) => void = () => undefined;
  const startedAt = new Promise<Position>((resolve) => {
    started = resolve;
  });
  const follow = async (): Promise<void> => {
    for await (const frame of client.streamEvents({ queue: [queue] }, { signal })) {
      if (frame.kind === 'data') onEvent(frame.data);
      else if (frame.kind === 'gap') await fillGap(client, frame, onEvent);
      else started(frame.position);
    }
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

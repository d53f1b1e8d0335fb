/** Streams that a projection skips, because an event of theirs could not be read or applied. */
import type { Pool } from 'pg';
import type { Position } from '../event-store/event-store.js';
import type { Tx } from './transaction.js';

/** The first event of a stream that could not be applied. */
export interface ParkedStream {
  readonly stream: string;
  readonly position: Position;
  readonly error: string;
}

const MAX_ERROR_LENGTH = 1_000;

export const describeError = (error: unknown): string => {
  const message = error instanceof Error ? error.message || error.name : String(error);
  return message.slice(0, MAX_ERROR_LENGTH);
};

export const park = async (tx: Tx, projection: string, parked: readonly ParkedStream[]): Promise<void> => {
  if (parked.length === 0) return;
  await tx.query({
    text: `insert into jobledger.parked (projection, stream, position, error, at)
      select $1, stream, position, error, clock_timestamp()
      from unnest($2::text[], $3::bigint[], $4::text[]) as s(stream, position, error)
      on conflict do nothing`,
    values: [
      projection,
      parked.map(({ stream }) => stream),
      parked.map(({ position }) => position),
      parked.map(({ error }) => error),
    ],
  });
};

export const countParked = async (tx: Tx, projection: string): Promise<number> => {
  const [row] = await tx.query<{ n: number }>({
    text: 'select count(*)::int as n from jobledger.parked where projection = $1',
    values: [projection],
  });
  return row?.n ?? 0;
};

/** Every stream that a projection skips. */
export const parkedStreams = async (pool: Pool, projection: string): Promise<Set<string>> => {
  const { rows } = await pool.query<{ stream: string }>('select stream from jobledger.parked where projection = $1', [
    projection,
  ]);
  return new Set(rows.map(({ stream }) => stream));
};

export interface ParkedEntry extends ParkedStream {
  readonly projection: string;
  /** When it was parked, RFC 3339. */
  readonly at: string;
}

/** The first `limit` parked streams of all projections, or of one, by position. */
export const listParked = async (pool: Pool, limit: number, projection?: string): Promise<readonly ParkedEntry[]> => {
  const { rows } = await pool.query<Omit<ParkedEntry, 'at'> & { at: Date }>(
    `select projection, stream, position::text, error, at from jobledger.parked
      where $2::text is null or projection = $2
      order by parked.position, projection, stream limit $1`,
    [limit, projection ?? null],
  );
  return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
};

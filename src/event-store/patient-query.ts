import type pg from 'pg';

/** Longest time of one, ms. */
const LIMIT_MS = 300_000;

/**
 * A statement that nobody waits for, and that may take longer than one of a call: its time grows with the tables, and
 * with what the database keeps of rows that are gone while somebody holds a snapshot.
 * @param signal ends it: its connection is closed
 * @throws the driver's errors, and the signal's
 */
export const queryPatiently = async <Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  query: pg.QueryConfig & { readonly name: string },
  signal: AbortSignal,
): Promise<readonly Row[]> => {
  signal.throwIfAborted();
  const client = await pool.connect();
  let broken = true;
  let isCut = signal.aborted;
  const cut = (): void => {
    isCut = true;
    client.release(true);
  };
  signal.addEventListener('abort', cut, { once: true });
  try {
    if (isCut) cut();
    signal.throwIfAborted();
    await client.query(`begin; set local statement_timeout = ${LIMIT_MS}`);
    const { rows } = await client.query<Row>({ ...query, query_timeout: LIMIT_MS } as pg.QueryConfig);
    await client.query('commit');
    broken = false;
    return rows;
  } finally {
    signal.removeEventListener('abort', cut);
    if (!isCut) client.release(broken);
  }
};

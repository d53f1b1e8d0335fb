import type pg from 'pg';
import { asPortError, createLogPool, type ConnectionConfig } from './connection.js';

type AnyQuery = (...args: unknown[]) => Promise<unknown>;

/**
 * A pool for the tables beside the log: as the log's own, and `query` fails with the port's `Unavailable` when the
 * database is away, so that callers tell an outage from a defect without knowing the driver.
 */
export const createLedgerPool = (config: ConnectionConfig): pg.Pool => {
  const pool = createLogPool(config);
  const query = pool.query.bind(pool) as unknown as AnyQuery;
  const mapped: AnyQuery = (...args) =>
    query(...args).catch((error: unknown) => {
      const [statement] = args as [string | { name?: string }];
      throw asPortError(typeof statement === 'string' ? 'a statement' : (statement.name ?? 'a statement'), error);
    });
  pool.query = mapped as unknown as typeof pool.query;
  return pool;
};

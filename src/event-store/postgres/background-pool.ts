import type pg from 'pg';
import type { ConnectionConfig } from './connection.js';
import { createLedgerPool } from './ledger-pool.js';

/** Longest time of a statement that nobody waits for, ms. */
const STATEMENT_MS = 300_000;
const CONNECTIONS = 2;

/**
 * Connections for statements that nobody waits for. Their time grows with the tables, and with what the database keeps
 * of rows that are gone while somebody holds a snapshot; on connections of their own they keep nobody waiting.
 */
export const createBackgroundPool = (
  config: Pick<ConnectionConfig, 'connectionString'>,
): { readonly pool: pg.Pool; readonly end: () => Promise<void> } => {
  const pool = createLedgerPool({
    ...config,
    poolSize: CONNECTIONS,
    statementTimeoutMs: STATEMENT_MS,
    applicationName: 'jobledger background',
  });
  const connected = new Set<pg.PoolClient>();
  pool.on('connect', (client) => connected.add(client));
  pool.on('remove', (client) => connected.delete(client));
  return {
    pool,
    /** Cuts what runs: nobody waits for it. */
    end: async () => {
      // The driver's `end` breaks the connection of one that works; the pool's waits for it.
      for (const client of connected) void (client as unknown as pg.Client).end().catch(() => undefined);
      await pool.end();
    },
  };
};

/** Connections of the log: their session settings, and what their errors mean to a caller of the port. */
import pg from 'pg';
import { Unavailable } from '../event-store.js';

export interface ConnectionConfig {
  readonly connectionString: string;
  /** Most connections; default 10. */
  readonly poolSize?: number;
  /** Longest time of one statement, in milliseconds; default 10,000. */
  readonly statementTimeoutMs?: number;
  /** Longest wait for a connection, in milliseconds; default 5,000. */
  readonly connectTimeoutMs?: number;
  /** Shown in `pg_stat_activity`; default `jobledger`. */
  readonly applicationName?: string;
}

const DEFAULT_STATEMENT_TIMEOUT_MS = 10_000;

/** How much longer than the server's own limit a client waits before it gives the server up. */
const SILENCE_MS = 2_000;

/**
 * The plans of the log do not depend on the arguments (arrays of any length): planning again at each call would cost
 * more than the statement, and JIT compiles what runs for microseconds. A plan made while the log is small outlives that,
 * so a scan of a whole table is never one. `at` is read as text, so the zone is fixed.
 */
const sessionSettings = (statementTimeoutMs: number): string => `
  set jit = off;
  set plan_cache_mode = force_generic_plan;
  set enable_seqscan = off;
  set synchronous_commit = on;
  set default_transaction_isolation = 'read committed';
  set timezone = 'UTC';
  set datestyle = 'ISO';
  set statement_timeout = ${Math.trunc(statementTimeoutMs)};
`;

/** A pool whose connections have the settings that the log relies on. Whoever makes it ends it. */
export const createLogPool = (config: ConnectionConfig): pg.Pool => {
  const { connectionString, poolSize = 10, connectTimeoutMs = 5_000, applicationName = 'jobledger' } = config;
  const { statementTimeoutMs = DEFAULT_STATEMENT_TIMEOUT_MS } = config;
  const settings = sessionSettings(statementTimeoutMs);
  const pool = new pg.Pool({
    connectionString,
    max: poolSize,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: statementTimeoutMs + SILENCE_MS,
    application_name: applicationName,
    keepAlive: true,
    // Awaited before the connection is handed out, and its failure is that of who asked for it.
    onConnect: (client) => client.query(settings) as unknown as undefined,
  });
  // A connection that breaks fails the statement that runs on it, and is replaced when idle. The pool listens only while
  // it is idle: without a listener of our own, one that breaks while it is checked out would end the process.
  pool.on('connect', (client) => client.on('error', () => undefined));
  pool.on('error', () => undefined);
  return pool;
};

/** SQLSTATE classes and codes after which the same call may succeed: connection, resources, shutdown, cancel, I/O. */
const passing = /^(08|53|57|58|40|55P03|25006)/;

/** The error as the port names it: `Unavailable` when the log cannot be reached or did not answer in time. */
export const asPortError = (doing: string, error: unknown): Error => {
  const isOfServer = error instanceof pg.DatabaseError;
  if (isOfServer && !passing.test(error.code ?? '')) return error;
  const reason = error instanceof Error && error.message !== '' ? error.message : String(error);
  return new Unavailable(`${doing}: ${reason}`, { cause: error });
};

/** SQLSTATE `lock_not_available`: a statement waited for a lock as long as it may. The connection is as good as before. */
export const isLockTimeout = (error: unknown): boolean =>
  error instanceof Unavailable && error.cause instanceof pg.DatabaseError && error.cause.code === '55P03';

/** Runs one statement on a connection of the pool. A connection that may be out of step is closed. */
export const execute = async (pool: pg.Pool, doing: string, query: pg.QueryArrayConfig): Promise<string[][]> => {
  let client: pg.PoolClient | undefined;
  let broken = false;
  try {
    client = await pool.connect();
    const { rows } = await client.query<string[]>(query);
    return rows;
  } catch (error) {
    const mapped = asPortError(doing, error);
    broken = mapped instanceof Unavailable;
    throw mapped;
  } finally {
    client?.release(broken);
  }
};

/** Every column as the server writes it: the log converts what it knows, and a bigint stays exact. */
export const asText: pg.CustomTypesConfig = { getTypeParser: () => (text: string) => text };

/**
 * Transactions of projections. A process that freezes in one must not hold its locks: PostgreSQL ends a session that
 * stays idle in a transaction, and the others go on.
 */
import pg from 'pg';

export interface Statement {
  /** Prepared under this name once a connection. */
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
}

/** Where the tables of projections are: those that answer, and those of one that is made anew. */
export type ProjectionSchema = 'jobledger' | 'jobledger_building';

/** @throws StatementFailed */
export interface Tx {
  /** Of the projection's tables in this transaction. */
  readonly schema: ProjectionSchema;
  query<Row extends object>(statement: Statement): Promise<readonly Row[]>;
}

/** SQLSTATE classes and codes of what passes by itself: connection, resources, shutdown, conflicts, locks. */
export const PASSING = /^(08|53|57|40|55P03|25P0)/;

/** A statement failed, or the connection. Tells the database's errors from those of reading an event. */
export class StatementFailed extends Error {
  /** SQLSTATE; null when the connection failed. */
  readonly code: string | null;

  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.code = cause instanceof pg.DatabaseError ? (cause.code ?? null) : null;
  }

  /** Whether the same thing may succeed later: the database is away, or somebody was in the way. */
  get isPassing(): boolean {
    return this.code === null || PASSING.test(this.code);
  }

  /** Whether a lock was not to be had in the time that `lock_timeout` sets (`lock_not_available`). */
  get isLockTimeout(): boolean {
    return this.code === '55P03';
  }
}

/** An error of the database as such. */
const failing = async <Result>(work: Promise<Result>): Promise<Result> => {
  try {
    return await work;
  } catch (error) {
    throw new StatementFailed(error);
  }
};

/** A prepared statement is of one text: the same name on other tables is another one. */
const nameIn = (schema: ProjectionSchema, { name }: Statement): { readonly name?: string } =>
  name === undefined ? {} : { name: schema === 'jobledger' ? name : `${name} (${schema})` };

const wrapped = (client: pg.PoolClient, schema: ProjectionSchema): Tx => ({
  schema,
  query: async <Row extends object>({ values, ...statement }: Statement) => {
    const { rows } = await failing(
      client.query<Row>({
        ...statement,
        ...nameIn(schema, statement),
        ...(values === undefined ? {} : { values: [...values] }),
      }),
    );
    return rows;
  },
});

/** Longest time between two statements; then the server ends the session. */
const MAX_IDLE_MS = 2_000;

/**
 * What is made anew is made again from its checkpoint when the last pages are lost with the machine, so their commits
 * wait for no disk; the swap is committed on the live schema's terms, and everything before it with it.
 */
const DURABILITY: Readonly<Record<ProjectionSchema, string>> = {
  jobledger: '',
  jobledger_building: '; set local synchronous_commit = off',
};

/** Commits what `work` did, or nothing. @throws StatementFailed, and what `work` throws */
export const inTransaction = async <T>(
  pool: pg.Pool,
  work: (tx: Tx) => Promise<T>,
  schema: ProjectionSchema = 'jobledger',
): Promise<T> => {
  const client = await failing(pool.connect());
  let broken = false;
  try {
    await failing(
      client.query(`begin; set local idle_in_transaction_session_timeout = ${MAX_IDLE_MS}${DURABILITY[schema]}`),
    );
    const result = await work(wrapped(client, schema));
    await failing(client.query('commit'));
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => {
      broken = true;
    });
    throw error;
  } finally {
    client.release(broken);
  }
};

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

/** A statement failed, or the connection. Tells the database's errors from those of reading an event. */
export class StatementFailed extends Error {
  /** SQLSTATE; null when the connection failed. */
  readonly code: string | null;

  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.code = cause instanceof pg.DatabaseError ? (cause.code ?? null) : null;
  }
}

/** A prepared statement is of one text: the same name on other tables is another one. */
const nameIn = (schema: ProjectionSchema, { name }: Statement): { readonly name?: string } =>
  name === undefined ? {} : { name: schema === 'jobledger' ? name : `${name} (${schema})` };

const wrapped = (client: pg.PoolClient, schema: ProjectionSchema): Tx => ({
  schema,
  query: async <Row extends object>({ values, ...statement }: Statement) => {
    try {
      const result = await client.query<Row>({
        ...statement,
        ...nameIn(schema, statement),
        ...(values === undefined ? {} : { values: [...values] }),
      });
      return result.rows;
    } catch (error) {
      throw new StatementFailed(error);
    }
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

/** Commits what `work` did, or nothing. */
export const inTransaction = async <T>(
  pool: pg.Pool,
  work: (tx: Tx) => Promise<T>,
  schema: ProjectionSchema = 'jobledger',
): Promise<T> => {
  const client = await pool.connect();
  let broken = false;
  try {
    await client.query(`begin; set local idle_in_transaction_session_timeout = ${MAX_IDLE_MS}${DURABILITY[schema]}`);
    const result = await work(wrapped(client, schema));
    await client.query('commit');
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

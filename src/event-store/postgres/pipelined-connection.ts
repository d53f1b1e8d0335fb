/**
 * One connection of its own for the append. Statements are sent without waiting for the one before, so the server finds
 * the next batch in its socket when it is done with one, and nobody waits for the lock of the log inside the server.
 * Readers, however many, cannot hold it up.
 *
 * It is made at the first statement, and again at the first one after it was lost.
 */
import pg from 'pg';
import { Unavailable } from '../event-store.js';
import { asPortError, isLockTimeout } from './connection.js';

/**
 * Much longer than it takes to make the next statement, and shorter than others wait for a lock, ms: what a frozen process
 * has locked is free then.
 */
const FROZEN_MS = 5_000;

/** Making the statements failed, not the server: the connection is as good as before. */
class NotMade extends Error {}

const BEGIN = `begin; set local idle_in_transaction_session_timeout = ${FROZEN_MS}`;

export class PipelinedConnection {
  readonly #options: pg.PoolOptions;
  #client: Promise<pg.Client> | undefined;
  #pid: number | undefined;
  #closed = false;

  /** @param options of a pool made by `createLogPool`: the same session settings and limits */
  constructor(options: pg.PoolOptions) {
    this.#options = options;
  }

  /** @throws Unavailable when the server is away or does not answer in time */
  execute(doing: string, query: pg.QueryArrayConfig): Promise<string[][]> {
    return this.#run(doing, async (client) => (await client.query<string[]>(query)).rows);
  }

  /**
   * Statements of one transaction. All are sent in one turn of the event loop, each made while the server runs those before
   * it, so nothing that this process does otherwise holds up what they lock; one that is frozen meanwhile is cut off.
   * @returns the rows of each, once they are committed
   * @throws what the first one that failed threw, or `NotMade`; then nothing is written. Unavailable: as above, and whether
   * anything is written is unknown
   */
  transaction(doing: string, queries: Iterable<pg.QueryArrayConfig>): Promise<string[][][]> {
    return this.#run(doing, async (client) => {
      const begun = client.query(BEGIN);
      const sent: Promise<pg.QueryArrayResult<string[]>>[] = [];
      try {
        for (const query of queries) sent.push(client.query<string[]>(query));
      } catch (error) {
        await Promise.allSettled([begun, ...sent, client.query('rollback')]);
        throw new NotMade('a statement of a transaction could not be made', { cause: error });
      }
      const committed = client.query('commit');
      // Of a transaction that failed the commit undoes it, and is no error: the statement that failed is.
      await Promise.allSettled([begun, ...sent, committed]);
      await begun;
      const results = await Promise.all(sent);
      await committed;
      return results.map(({ rows }) => rows);
    });
  }

  async #run<Result>(doing: string, run: (client: pg.Client) => Promise<Result>): Promise<Result> {
    if (this.#closed) throw new Unavailable(`${doing}: the log is closed`);
    const connecting = (this.#client ??= this.#connect());
    try {
      return await run(await connecting);
    } catch (error) {
      if (error instanceof NotMade) throw error;
      const mapped = asPortError(doing, error);
      if (mapped instanceof Unavailable && !isLockTimeout(mapped)) this.#drop(connecting);
      throw mapped;
    }
  }

  /** Server process of the connection that was made last. */
  get pid(): number | undefined {
    return this.#pid;
  }

  /** What was sent is answered before the connection ends. */
  async close(): Promise<void> {
    this.#closed = true;
    const client = await this.#client?.catch(() => undefined);
    await client?.end().catch(() => undefined);
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({ ...this.#options, pipeline: true });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await (this.#options.onConnect?.(client) as unknown as Promise<unknown>);
    } catch (error) {
      this.#client = undefined;
      client.end().catch(() => undefined);
      throw error;
    }
    client.once('end', () => this.#forget(client));
    this.#pid = (client as { processID?: number }).processID;
    return client;
  }

  /** A connection that may be out of step is not used again; what it still runs ends with it. */
  #drop(connecting: Promise<pg.Client>): void {
    if (this.#client === connecting) this.#client = undefined;
    connecting.then(
      (client) => client.end().catch(() => undefined),
      () => undefined,
    );
  }

  #forget(client: pg.Client): void {
    const current = this.#client;
    void current?.then(
      (known) => {
        if (known === client && this.#client === current) this.#client = undefined;
      },
      () => undefined,
    );
  }
}

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
  async execute(doing: string, query: pg.QueryArrayConfig): Promise<string[][]> {
    if (this.#closed) throw new Unavailable(`${doing}: the log is closed`);
    const connecting = (this.#client ??= this.#connect());
    try {
      const client = await connecting;
      const { rows } = await client.query<string[]>(query);
      return rows;
    } catch (error) {
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

/**
 * Hears of appends of other processes, on one connection of its own for all who want to know.
 *
 * A hint and no more: when the connection is lost the readers go on polling, and it is made again in the background.
 * After each time it was made everybody is woken once, for what was missed meanwhile.
 */
import pg from 'pg';
import { asText, execute } from './connection.js';

const CHANNEL = 'jobledger';
/** By this name who appends finds out whether anybody listens. */
const APPLICATION = 'jobledger listener';
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;

export class AppendListener {
  readonly #config: pg.ClientConfig;
  readonly #listeners = new Set<{ readonly wake: () => void; readonly broke: () => void }>();
  #client: pg.Client | undefined;
  #retryMs = FIRST_RETRY_MS;
  #retry: NodeJS.Timeout | undefined;
  #started = false;
  #closed = false;

  readonly #isOwn: (pid: number) => boolean;

  /** @param isOwn whether a server process is one of ours: of its appends everybody here knows already */
  constructor(config: pg.ClientConfig, isOwn: (pid: number) => boolean) {
    this.#config = { ...config, application_name: APPLICATION };
    this.#isOwn = isOwn;
  }

  /** Connects at the first call. */
  listen(wake: () => void, broke: () => void = () => undefined): () => void {
    // Wrapped, so that the same function may listen twice.
    const entry = { wake, broke };
    this.#listeners.add(entry);
    if (!this.#started && !this.#closed) {
      this.#started = true;
      this.#connect();
    }
    return () => void this.#listeners.delete(entry);
  }

  /** Whether another process listens on this database now. */
  async hasOthers(pool: pg.Pool): Promise<boolean> {
    const own = (this.#client as { processID?: number } | undefined)?.processID ?? 0;
    const [row] = await execute(pool, 'looking for listeners', {
      name: 'listeners',
      text: `select exists (select from pg_stat_activity
        where datname = current_database() and application_name = $1 and pid <> $2)`,
      values: [APPLICATION, own],
      rowMode: 'array',
      types: asText,
    });
    return row?.[0] === 't';
  }

  readonly wake = (): void => {
    for (const { wake } of this.#listeners) wake();
  };

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#listeners.clear();
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  #connect(): void {
    const client = new pg.Client(this.#config);
    this.#client = client;
    let lost = false;
    const lose = () => {
      if (lost || this.#closed) return;
      lost = true;
      for (const { broke } of this.#listeners) broke();
      client.end().catch(() => undefined);
      this.#retry = setTimeout(() => this.#connect(), this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    };
    client.on('error', lose);
    client.on('end', lose);
    client.on('notification', ({ processId }) => {
      if (!this.#isOwn(processId)) this.wake();
    });
    this.#start(client).catch(lose);
  }

  async #start(client: pg.Client): Promise<void> {
    await client.connect();
    await client.query(`listen ${CHANNEL}`);
    this.#retryMs = FIRST_RETRY_MS;
    this.wake();
  }
}

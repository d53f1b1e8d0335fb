/**
 * Stops a process exactly between two of its steps: what it asks the database for waits for a lock, the process is frozen,
 * the lock is given back, so that the answer lies before it unread, and others act meanwhile. Then it wakes.
 */
import pg from 'pg';
import type { Cluster } from './running-cluster.js';
import type { ServiceProcess } from './service-process.js';
import { waitFor } from './wait.js';

export interface Freezing<Answer> {
  readonly node: ServiceProcess;
  /** Whose lock it waits for. `reads` also: nobody reads the table. */
  readonly lock: { readonly table: 'jobs' | 'leases' | 'reservations'; readonly keeps: 'reads' | 'writes' };
  /** Part of the statement that waits. */
  readonly statement: string;
  readonly call: () => Promise<Answer>;
  /** What others do while it is frozen. */
  readonly meanwhile: () => Promise<unknown>;
}

const MODES = { reads: 'access exclusive', writes: 'share' } as const;

/** What the call answers at last. */
export const frozenCall = async <Answer>(
  { database }: Pick<Cluster, 'database'>,
  { node, lock, statement, call, meanwhile }: Freezing<Answer>,
): Promise<Answer> => {
  // In a transaction the activity of others stays what it was at the first look: another session looks.
  const [holder, client] = [0, 1].map(() => new pg.Client({ connectionString: database.url })) as [
    pg.Client,
    pg.Client,
  ];
  await Promise.all([holder.connect(), client.connect()]);
  try {
    await holder.query(`begin; lock table jobledger.${lock.table} in ${MODES[lock.keeps]} mode`);
    const calling = call();
    // Awaited below.
    calling.catch(() => undefined);
    const pid = await waitFor(`a session to wait in ${statement}`, async () => {
      const { rows } = await client.query<{ pid: number }>(
        `select pid from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock' and query like '%' || $1 || '%'`,
        [statement],
      );
      return rows[0]?.pid;
    });
    node.signal('SIGSTOP');
    await holder.query('rollback');
    await waitFor('the statement to be over', async () => {
      const active = `select from pg_stat_activity where pid = $1 and state = 'active'`;
      return (await client.query(active, [pid])).rowCount === 0;
    });
    await meanwhile();
    node.signal('SIGCONT');
    return await calling;
  } finally {
    node.signal('SIGCONT');
    await Promise.all([holder.end(), client.end()]);
  }
};

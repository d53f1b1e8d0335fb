/** Holds a database to the log whose jobs it has the rows of. */
import type pg from 'pg';

export type PlaceOfLog = 'here' | 'elsewhere';

/** By where the log of the jobs in the database is: what is wrong when a process keeps it at the other place. */
const OTHER: Readonly<Record<PlaceOfLog, string>> = {
  here: 'this database keeps its log itself, and JOBLEDGER_EVENT_STORE is eventstoredb: set it to postgres again, without JOBLEDGER_EVENTSTOREDB_URL',
  elsewhere:
    'the log of the jobs in this database is in EventStoreDB, and JOBLEDGER_EVENT_STORE is postgres: set it to eventstoredb again, with JOBLEDGER_EVENTSTOREDB_URL',
};

/** The database holds rows of jobs of another log. */
export class OtherLog extends Error {}

/**
 * The first process says where the log is, every later one has to say the same.
 * @throws OtherLog when it does not
 */
export const bindLog = async (pool: pg.Pool, place: PlaceOfLog): Promise<void> => {
  const { rows } = await pool.query<{ bound: PlaceOfLog }>({
    text: 'select jobledger.bind_log($1) as bound',
    values: [place],
  });
  const { bound } = rows[0]!;
  if (bound === place) return;
  throw new OtherLog(`${OTHER[bound]}, or start with another database`);
};

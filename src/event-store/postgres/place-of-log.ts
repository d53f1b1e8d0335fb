/** Holds a database to the log whose jobs it has the rows of. */
import type pg from 'pg';

export type PlaceOfLog = 'here' | 'elsewhere';

const NAMES: Readonly<Record<PlaceOfLog, string>> = {
  here: 'a log of its own (JOBLEDGER_EVENT_STORE=postgres)',
  elsewhere: 'a log in EventStoreDB (JOBLEDGER_EVENT_STORE=eventstoredb)',
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
  throw new OtherLog(`the database belongs to ${NAMES[bound]}, not to ${NAMES[place]}: give the other log another one`);
};

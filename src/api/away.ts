/** What is said of the two that a process depends on, in every answer the same. */
export const DATABASE_AWAY = 'the database does not answer';
export const DATABASE_FULL = 'the database has no room left on its disk';
/** Of a log with a server of its own. */
export const LOG_AWAY = 'the log (EventStoreDB) does not answer';
/** Of one that answers, and was damaged. Which table it is the log says: names are nobody's business who only calls. */
export const TABLE_MISSING =
  'a table of the database is missing: somebody dropped or renamed it, and the log of this process names it; whoever runs the database has to put it back';

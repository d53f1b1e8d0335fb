/** What is said of the two that a process depends on, in every answer the same. */
export const DATABASE_AWAY = 'the database does not answer';
export const DATABASE_FULL = 'the database has no room left on its disk';
/** Of a log with a server of its own. */
export const LOG_AWAY = 'the log (EventStoreDB) does not answer';

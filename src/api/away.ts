/** What is said of the two that a process depends on, in every answer the same. */
export const DATABASE_AWAY = 'the database does not answer';
/** Of a log with a server of its own. */
export const LOG_AWAY = 'the log (EventStoreDB) does not answer';

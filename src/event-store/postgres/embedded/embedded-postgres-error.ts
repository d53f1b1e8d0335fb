/** Thrown when the embedded PostgreSQL cannot start. The message is one line that says what to do about it. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';
}

/** Thrown when the data folder is one that it can never start in: another one has to be named. */
export class UnusableDataFolder extends EmbeddedPostgresError {}

/** The first line of what went wrong, for a message of one line. */
export const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '';

/** Thrown when the command line is wrong: one line says how, and nothing was done. */
export class UsageError extends Error {}

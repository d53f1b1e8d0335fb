import { Unavailable } from '../../event-store/event-store.js';
import { PASSING, StatementFailed } from '../transaction.js';

/** Whether the same thing may succeed later: the database is away, or somebody was in the way. */
export const isPassing = (error: unknown): boolean => {
  if (error instanceof Unavailable) return true;
  if (error instanceof StatementFailed) return error.isPassing;
  const { code } = error as { readonly code?: unknown };
  // The driver's own errors have no SQLSTATE: a connection that broke or could not be made.
  return typeof code === 'string'
    ? PASSING.test(code) || /^E[A-Z]+$/.test(code)
    : /connect|terminat/i.test(String(error));
};

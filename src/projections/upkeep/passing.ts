import { Unavailable } from '../../event-store/event-store.js';
import { StatementFailed } from '../transaction.js';

/** SQLSTATE classes and codes of what passes by itself: connection, resources, shutdown, conflicts, locks. */
const PASSING = /^(08|53|57|40|55P03|25P0)/;

/** Whether the same thing may succeed later: the database is away, or somebody was in the way. */
export const isPassing = (error: unknown): boolean => {
  if (error instanceof Unavailable) return true;
  if (error instanceof StatementFailed) return error.code === null || PASSING.test(error.code);
  const { code } = error as { readonly code?: unknown };
  // The driver's own errors have no SQLSTATE: a connection that broke or could not be made.
  return typeof code === 'string'
    ? PASSING.test(code) || /^E[A-Z]+$/.test(code)
    : /connect|terminat/i.test(String(error));
};

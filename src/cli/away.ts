/** Whether a call came to nothing because the service, or what it needs, is away; and how that is said. */
import { OutcomeUnknownError, ProblemError, UnavailableError, UnreachableError } from '../client/client.js';

type Away = UnreachableError | OutcomeUnknownError | UnavailableError;

export const isAway = (error: unknown): error is Away =>
  error instanceof UnreachableError || error instanceof OutcomeUnknownError || error instanceof UnavailableError;

export const whyAway = (error: Away): string => (error instanceof ProblemError ? error.detail : error.message);

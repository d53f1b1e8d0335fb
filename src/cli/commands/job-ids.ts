/** Jobs that a command is about. */
import { UsageError } from '../usage-error.js';
import type { Values } from '../values.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** @throws UsageError for what cannot be an id: asked for, it would only be nowhere. */
export const jobIdsOf = ({ positionals }: Values): readonly string[] => {
  const wrong = positionals.find((id) => !UUID.test(id));
  if (wrong === undefined) return positionals;
  throw new UsageError(`expected the id of a job, as 019a2b3c-4d5e-7f60-8123-456789abcdef, not "${wrong}"`);
};

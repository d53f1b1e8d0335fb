/** Whether a caller may make a call, by the roles of its key. */
import { Problem } from '../problem.js';
import type { Access } from './access.js';
import type { Caller } from './caller.js';
import type { Role } from './roles.js';

const requireRole = (caller: Caller, roles: readonly Role[], what: string): void => {
  if (roles.some((role) => caller.roles.has(role))) return;
  throw new Problem('forbidden', `key ${caller.id} has none of the roles that may ${what}: ${roles.join(', ')}`);
};

/**
 * @param body undefined when it cannot be read, or is not asked for.
 * @throws Problem `forbidden`
 */
export const requireAccess = (
  caller: Caller,
  { roles, rolesFor }: Access,
  body: Readonly<Record<string, unknown>> | undefined,
): void => {
  requireRole(caller, roles, 'do this');
  if (body !== undefined && rolesFor !== undefined) requireRole(caller, rolesFor(body), 'ask for this');
};

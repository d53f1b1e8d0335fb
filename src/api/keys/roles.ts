/** What a key may be for. Which calls each role may make stands in `access.ts`. */
export const ROLES = ['dispatcher', 'worker', 'reporter', 'authorizer', 'operator', 'auditor', 'admin'] as const;

export type Role = (typeof ROLES)[number];

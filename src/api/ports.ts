/** What the API asks of the rest by interface; `app.module.ts` says who answers. */
export const EVENT_STORE = Symbol('EventStore');
/** `PlaceOfLog`: whether the log is in the database, or has a server of its own. */
export const PLACE_OF_LOG = Symbol('PlaceOfLog');
export const CLOCK = Symbol('Clock');
export const JOB_ROWS = Symbol('JobRows');
export const LEASES = Symbol('Leases');
/** Pools of connections to the database, by name. */
export const POOLS = Symbol('Pools');
/** `ConfigView`: every setting in force, secrets redacted. */
export const SETTINGS = Symbol('Settings');
/** `ApiKeys`, or null: nobody needs a key. */
export const API_KEYS = Symbol('ApiKeys');

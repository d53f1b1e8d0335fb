/** What the API asks of the rest by interface; `app.module.ts` says who answers. */
export const EVENT_STORE = Symbol('EventStore');
/** Whether the log has a server of its own, or is in the database. */
export const IS_LOG_ELSEWHERE = Symbol('IsLogElsewhere');
export const CLOCK = Symbol('Clock');
export const JOB_ROWS = Symbol('JobRows');
export const LEASES = Symbol('Leases');
/** Pools of connections to the database, by name. */
export const POOLS = Symbol('Pools');
/** `ConfigView`: every setting in force, secrets redacted. */
export const SETTINGS = Symbol('Settings');
/** `ApiKeys`, or null: nobody needs a key. */
export const API_KEYS = Symbol('ApiKeys');

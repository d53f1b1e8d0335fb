/** Which roles may make which call: the table "Roles" of the HTTP contract, call by call. */
import type { Role } from './roles.js';

/** What a rule may look at in a body, before anybody has judged the body: any value at all. */
type Body = Readonly<Record<string, unknown>>;

export interface Access {
  /** Any of these gets in. */
  readonly roles: readonly Role[];
  /** Where it depends on what is asked: any of these, of those above. */
  readonly rolesFor?: (body: Body) => readonly Role[];
}

/** Everybody, without a key. */
export const OPEN = 'open';

const to = (...roles: Role[]): Access => ({ roles: [...roles, 'admin'] });

const create = to('dispatcher');
/** A dispatcher on jobs that its key created: that is judged beside the job. */
const command = to('dispatcher', 'operator');
const work = to('worker');
const read = to('dispatcher', 'worker', 'operator', 'auditor');
const readJob = to('dispatcher', 'worker', 'reporter', 'operator', 'auditor');
const readAll = to('operator', 'auditor');
const operate = to('operator');
const verify = to('auditor');
const administer = to();

/** A worker starts with its token, everybody else without one. */
const start: Access = {
  roles: [...new Set([...command.roles, ...work.roles])],
  rolesFor: ({ leaseToken = null }) => (leaseToken === null ? command.roles : work.roles),
};

/** To look is an auditor's; to put right is a rebuild. */
const verifyProjection: Access = {
  roles: verify.roles,
  rolesFor: ({ repair }) => (repair === true ? administer.roles : verify.roles),
};

/** Whoever may give one of them: each command is judged by the rule of its own call. */
const commands: Access = { roles: start.roles };

/** By method and path, as the OpenAPI document has them. What is not here is for `admin` alone, and fails a test. */
const RULES: Readonly<Record<string, Access | typeof OPEN>> = {
  'POST /v1/jobs': create,
  'POST /v1/jobs/batch': create,
  'GET /v1/jobs': read,
  'GET /v1/jobs/{id}': readJob,
  'GET /v1/jobs/{id}/events': read,
  'GET /v1/jobs/{id}/logs': read,
  'GET /v1/jobs/{id}/stream': read,
  'POST /v1/jobs/{id}/start': start,
  'POST /v1/jobs/{id}/cancel': command,
  'POST /v1/jobs/{id}/retry': command,
  'POST /v1/jobs/{id}/hold': command,
  'POST /v1/jobs/{id}/resume': command,
  'POST /v1/jobs/{id}/reschedule': command,
  'POST /v1/jobs/{id}/priority': command,
  'POST /v1/commands': commands,
  'POST /v1/claims': work,
  'POST /v1/jobs/{id}/heartbeat': work,
  'POST /v1/jobs/{id}/progress': work,
  'POST /v1/jobs/{id}/complete': work,
  'POST /v1/jobs/{id}/fail': work,
  'POST /v1/jobs/{id}/throttle': work,
  'POST /v1/jobs/{id}/wait': work,
  'POST /v1/jobs/{id}/release': work,
  'POST /v1/jobs/{id}/logs': work,
  'GET /v1/queues': read,
  'GET /v1/queues/{name}': read,
  'GET /v1/counters': read,
  'GET /v1/streams/events': read,
  'GET /v1/streams/jobs': read,
  'GET /v1/streams/counters': read,
  'GET /v1/events': readAll,
  'GET /v1/dead-letters': readAll,
  'GET /v1/reaper': readAll,
  'GET /v1/config': readAll,
  'GET /v1/log/head': readAll,
  'GET /v1/admin/projections': readAll,
  'GET /v1/admin/projections/{name}': readAll,
  'GET /v1/admin/upkeep': readAll,
  'GET /v1/admin/upkeep/{id}': readAll,
  'GET /metrics': readAll,
  'POST /v1/admin/jobs/{id}/force-fail': operate,
  'POST /v1/admin/jobs/{id}/cancel': operate,
  'POST /v1/admin/jobs/{id}/requeue': operate,
  'POST /v1/admin/jobs/{id}/emergency-stop': operate,
  'POST /v1/admin/reaper/sweep': operate,
  'POST /v1/admin/log/verify': verify,
  'POST /v1/admin/projections/{name}/verify': verifyProjection,
  'POST /v1/admin/projections/{name}/rebuild': administer,
  'GET /health/live': OPEN,
  'GET /health/ready': OPEN,
};

/** Whether the table says something of the call. */
export const isRuled = (call: string): boolean => Object.hasOwn(RULES, call);

export const accessTo = (call: string): Access | typeof OPEN => (isRuled(call) ? RULES[call]! : administer);

/** Roles of whoever acts on jobs of others too. */
const ON_ANY_JOB: readonly Role[] = ['operator', 'admin'];

/** Whose jobs alone a client's command may change; null: anybody's. */
export const onlyJobsOf = ({ id, roles }: { readonly id: string; readonly roles: ReadonlySet<Role> }): string | null =>
  ON_ANY_JOB.some((role) => roles.has(role)) ? null : id;

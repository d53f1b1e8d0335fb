/** What an error means to the caller. The one place that knows the errors of every part. */
import { HttpException } from '@nestjs/common';
import {
  DeadlineExceeded,
  IdempotencyKeyReused,
  JobNotFound,
  LeaseUnsettled,
  LogLost,
  NotOwner,
  Overloaded,
  PreconditionFailed,
  TooManyStages,
} from '../commands/errors.js';
import { AnswerLost, KeyUnsettled } from '../commands/answers.js';
import { Refused } from '../commands/envelope.js';
import { Refusal } from '../domain/errors.js';
import {
  DamagedEvent,
  ForeignPosition,
  LogUnavailable,
  RowLocked,
  StreamDeleted,
  TooLarge,
  Unavailable,
  Unsupported,
} from '../event-store/event-store.js';
import { RowsNotMade } from '../projections/jobs/made-rows.js';
import { DamagedHistory, isDamage, UnreadableEvent } from '../projections/jobs/stored-job.js';
import { StatementFailed } from '../projections/transaction.js';
import { UpkeepBusy } from '../projections/upkeep/upkeep-runs.js';
import { DATABASE_AWAY, DATABASE_FULL, LOG_AWAY, TABLE_MISSING } from './away.js';
import {
  conflict,
  notFound,
  payloadTooLarge,
  Problem,
  PROBLEM_KINDS,
  type ProblemCode,
  unavailable,
  validationFailed,
} from './problem.js';

/** Nobody repairs a history within seconds. */
const DAMAGE_RETRY_SECONDS = 30;

/** Rebuilds, verifications and a first reading of the log take their time. */
const BUSY_RETRY_SECONDS = 5;

/** Codes of errors that only have an HTTP status: those of the framework. Other faults of the client's are 400. */
const CODE_OF_STATUS = new Map<number, ProblemCode>([
  [401, 'unauthenticated'],
  [403, 'forbidden'],
  [404, 'not_found'],
  [405, 'method_not_allowed'],
  [410, 'gone'],
  [412, 'precondition_failed'],
  [413, 'payload_too_large'],
  [415, 'unsupported_media_type'],
  [429, 'rate_limited'],
  [501, 'not_implemented'],
  [503, 'unavailable'],
]);

const isClientFault = (status: number): boolean => status >= 400 && status < 500;

const ofStatus = (status: number, message: string, cause: unknown): Problem | undefined => {
  const code = CODE_OF_STATUS.get(status);
  if (code !== undefined)
    return new Problem(code, isClientFault(status) ? message : PROBLEM_KINDS[code].title, { cause });
  return isClientFault(status) ? validationFailed([{ path: '', message }]) : undefined;
};

const statusOf = (error: Error): number | undefined => {
  if (error instanceof HttpException) return error.getStatus();
  return 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : undefined;
};

/** Why a command has no answer. */
const ofCommand = (error: Error): Problem | undefined => {
  if (error instanceof Refused) {
    return conflict(error.refusal.code, error.message, error.refusal.command, error.job);
  }
  if (error instanceof Refusal) {
    const { code, command, from } = error;
    const asked = code === 'illegal_transition' ? { from, command } : {};
    return new Problem(code, error.message, { members: { ...asked, jobStatus: from } });
  }
  if (error instanceof JobNotFound) return notFound(error.message);
  if (error instanceof NotOwner) return new Problem('forbidden', error.message);
  if (error instanceof PreconditionFailed) {
    return new Problem('precondition_failed', error.message, { members: { revision: error.actual } });
  }
  if (error instanceof TooManyStages) return validationFailed([{ path: 'stage', message: `stage ${error.message}` }]);
  if (error instanceof IdempotencyKeyReused) return new Problem('idempotency_key_reused', error.message);
  return error instanceof Overloaded || error instanceof DeadlineExceeded ? unavailable(error.message) : undefined;
};

const LOG_CHANGED = 'POST /v1/admin/log/verify says where it begins to be wrong, and a backup has what stood there';

/** What a caller is told of a history that cannot be read: no name of a stream, but who could read it. */
const damageDetail = (error: Error): string => {
  const met = error instanceof DamagedHistory ? error.cause : error;
  if (met instanceof DamagedEvent)
    return `event ${met.event.position} of the job cannot be read: its ${met.part} is no JSON object, so the log was changed: ${LOG_CHANGED}`;
  if (!(met instanceof UnreadableEvent)) return 'the history of this job cannot be read at the moment';
  const { position, type } = met.event;
  return (
    met.newer ??
    `event ${position} of the job cannot be read: it has not the shape of a ${type}, so the log was changed: ${LOG_CHANGED}`
  );
};

const sqlState = (error: unknown): unknown => (error as { readonly code?: unknown } | undefined)?.code;
/** SQLSTATE `disk_full`. */
const isDiskFull = (error: unknown): boolean => sqlState(error) === '53100';
/** SQLSTATE `undefined_table`, of the statement itself or of what wraps it. */
export const isTableMissing = (error: unknown): boolean =>
  error instanceof Error && (sqlState(error) === '42P01' || isTableMissing(error.cause));

const UNKNOWN = ', and whether the call was done is not known: repeat it with the same Idempotency-Key';

/** Which of the two the error is of: nobody looks for what is wrong where nothing is. */
const awayDetail = (error: Error, isQuestion: boolean): string => {
  const [what, name] = error instanceof LogUnavailable ? [LOG_AWAY, 'log'] : [DATABASE_AWAY, 'database'];
  const unknown = isQuestion ? '' : UNKNOWN;
  const isFull = isDiskFull(error) || isDiskFull(error.cause);
  if (isFull) return `${DATABASE_FULL}${unknown}; whoever runs the database has to make room`;
  return `${what} at the moment, or not in time${unknown}; /health/ready says when the ${name} is back`;
};

/** What the log says of itself; its own words, with names of streams and hosts, stay inside. */
const ofStorage = (error: Error, isQuestion: boolean): Problem | undefined => {
  if (isDamage(error)) return unavailable(damageDetail(error), DAMAGE_RETRY_SECONDS);
  if (error instanceof UpkeepBusy)
    return unavailable(`${error.message}: GET /v1/admin/upkeep/${error.running.id}`, BUSY_RETRY_SECONDS);
  if (error instanceof RowsNotMade)
    return new Problem('projection_lagging', error.message, { retryAfterSeconds: BUSY_RETRY_SECONDS });
  if (error instanceof KeyUnsettled) return unavailable(`${error.message}: repeat it with the same Idempotency-Key`);
  if (error instanceof LogLost || error instanceof AnswerLost || error instanceof LeaseUnsettled)
    return unavailable(error.message);
  if (error instanceof Unavailable || (error instanceof StatementFailed && error.isPassing))
    return unavailable(awayDetail(error, isQuestion));
  if (isTableMissing(error))
    return unavailable(isQuestion ? TABLE_MISSING : TABLE_MISSING + UNKNOWN, DAMAGE_RETRY_SECONDS);
  if (error instanceof RowLocked) return unavailable(error.message);
  if (error instanceof ForeignPosition) return validationFailed([{ path: '', message: error.message }]);
  if (error instanceof Unsupported) return new Problem('not_implemented', error.message);
  if (error instanceof TooLarge) return payloadTooLarge(`one call may write ${error.limit} bytes`);
  return error instanceof StreamDeleted ? new Problem('gone', 'the job was deleted') : undefined;
};

/**
 * The problem that an error means to the caller; undefined when it is a fault of ours.
 * @param isQuestion the call changes nothing, so there is nothing to find out about it
 */
export const problemOf = (error: unknown, isQuestion = false): Problem | undefined => {
  if (error instanceof Problem) return error;
  if (!(error instanceof Error)) return undefined;
  const known = ofCommand(error) ?? ofStorage(error, isQuestion);
  if (known !== undefined) return known;
  const status = statusOf(error);
  return status === undefined ? undefined : ofStatus(status, error.message, error);
};

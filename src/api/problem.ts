/**
 * What an answer that is not a success says: an RFC 9457 problem document with a stable `code`. Whoever refuses a
 * request throws a `Problem`; `problem.filter.ts` is the one place that turns errors into answers.
 */
import type * as wire from './contract.js';

export type ProblemCode = wire.ProblemCode;

/** One thing wrong with a request. `path` as in `jobs[3].payload.a`; empty for the body as a whole. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

/** More errors than these are not listed: a thousand jobs with the same mistake are one lesson. */
export const MAX_FIELD_ERRORS = 50;

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

interface ProblemKind {
  readonly status: number;
  readonly title: string;
}

/** Status and title of every code. The title never varies; what is particular stands in `detail`. */
export const PROBLEM_KINDS: Readonly<Record<ProblemCode, ProblemKind>> = {
  validation_failed: { status: 400, title: 'The request is not valid' },
  unauthenticated: { status: 401, title: 'An API key is needed' },
  forbidden: { status: 403, title: 'The API key may not do this' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  illegal_transition: { status: 409, title: 'Not possible in this state' },
  stale_lease: { status: 409, title: 'The lease is not the current one' },
  duplicate_job: { status: 409, title: 'Such a job exists already' },
  already_terminal: { status: 409, title: 'The run has ended' },
  gone: { status: 410, title: 'No longer there' },
  precondition_failed: { status: 412, title: 'The job has changed' },
  payload_too_large: { status: 413, title: 'Too large' },
  unsupported_media_type: { status: 415, title: 'Unsupported media type' },
  idempotency_key_reused: { status: 422, title: 'The idempotency key was used for another request' },
  rate_limited: { status: 429, title: 'Too many requests' },
  internal: { status: 500, title: 'Internal error' },
  not_implemented: { status: 501, title: 'Not built yet' },
  unavailable: { status: 503, title: 'Not available at the moment' },
  projection_lagging: { status: 503, title: 'The read model is behind' },
};

/** Members of a problem document beside the standard ones. */
export type ProblemMembers = Omit<Partial<wire.Problem>, 'type' | 'title' | 'status' | 'detail' | 'code' | 'errors'>;

export interface ProblemOptions {
  readonly errors?: readonly FieldError[];
  readonly members?: ProblemMembers;
  /** Sent as `Retry-After`. Default 1 on 429 and 503, never on others. */
  readonly retryAfterSeconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

const RETRIED_STATUSES: readonly number[] = [429, 503];
const DEFAULT_RETRY_AFTER_SECONDS = 1;

/** Thrown to refuse a request. `message` is the document's `detail`, so it must not hold what a caller may not see. */
export class Problem extends Error {
  readonly status: number;

  constructor(
    readonly code: ProblemCode,
    detail: string,
    private readonly options: ProblemOptions = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = PROBLEM_KINDS[code].status;
  }

  get errors(): readonly FieldError[] {
    return this.options.errors ?? [];
  }

  /** Headers of the answer beside its content type. */
  get headers(): Readonly<Record<string, string>> {
    const { headers, retryAfterSeconds = DEFAULT_RETRY_AFTER_SECONDS } = this.options;
    if (!RETRIED_STATUSES.includes(this.status)) return headers ?? {};
    return { ...headers, 'retry-after': String(Math.max(1, Math.ceil(retryAfterSeconds))) };
  }

  toJSON(): wire.Problem {
    const { errors, members } = this.options;
    return {
      type: `urn:jobledger:problem:${this.code}`,
      title: PROBLEM_KINDS[this.code].title,
      status: this.status,
      detail: this.message,
      code: this.code,
      ...(errors === undefined ? {} : { errors }),
      ...members,
    };
  }
}

/** 400 with every error, the first `MAX_FIELD_ERRORS` of them; the detail repeats the first. */
export const validationFailed = (errors: readonly FieldError[]): Problem => {
  const [first, ...others] = errors;
  const detail =
    (first?.message ?? 'the request is not valid') + (others.length > 0 ? ` (and ${others.length} more)` : '');
  return new Problem('validation_failed', detail, { errors: errors.slice(0, MAX_FIELD_ERRORS) });
};

/** 413 about values inside a body, or, without errors, about the body itself. */
export const payloadTooLarge = (detail: string, errors?: readonly FieldError[]): Problem =>
  new Problem('payload_too_large', detail, errors === undefined ? {} : { errors });

/** 401, with the header that says how to authenticate. */
export const unauthenticated = (detail: string): Problem =>
  new Problem('unauthenticated', detail, { headers: { 'www-authenticate': 'Bearer' } });

/** 404, of a path or of what an id names. */
export const notFound = (detail: string): Problem => new Problem('not_found', detail);

/** 405 of a known path. `allowed` are the methods it has. */
export const methodNotAllowed = (method: string, allowed: readonly string[]): Problem =>
  new Problem('method_not_allowed', `${method} is not possible here; ${allowed.join(', ')} is`, {
    headers: { allow: allowed.join(', ') },
  });

/** 501 of a path, a method or, with errors, fields whose part is not built yet. */
export const notImplemented = (detail: string, errors?: readonly FieldError[]): Problem =>
  new Problem('not_implemented', detail, errors === undefined ? {} : { errors });

export const unsupportedMediaType = (detail: string): Problem => new Problem('unsupported_media_type', detail);

/** 503 of a process that takes no new work: it drains, or too many commands wait. */
export const unavailable = (detail: string, retryAfterSeconds = DEFAULT_RETRY_AFTER_SECONDS): Problem =>
  new Problem('unavailable', detail, { retryAfterSeconds });

/** Where a job stands, on a 409 about it. */
export interface JobStanding {
  readonly status: wire.JobStatus;
  readonly run: number;
  readonly attempt: number;
  readonly revision: number;
}

/** 409 about a known job: it carries where the job stands, and for an illegal transition what was asked of it. */
export const conflict = (
  code: 'illegal_transition' | 'stale_lease' | 'already_terminal',
  detail: string,
  command: string,
  job: JobStanding,
): Problem => {
  const { status: jobStatus, run, attempt, revision } = job;
  const asked = code === 'illegal_transition' ? { from: jobStatus, command } : {};
  return new Problem(code, detail, { members: { ...asked, jobStatus, run, attempt, revision } });
};

/** 409: the dedup key is taken. `index` of the entry in a batch. */
export const duplicateJob = (existingJobId: string, index?: number): Problem =>
  new Problem('duplicate_job', `job ${existingJobId} with the same type and dedup key is not terminal`, {
    members: index === undefined ? { existingJobId } : { existingJobId, index },
  });

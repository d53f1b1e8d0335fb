/** Reading one HTTP response: an answer, a refusal, or nothing that can be relied on. */
import type { Problem, ProblemCode } from '../api/contract.js';
import { toProblemError, type ProblemError } from './errors.js';
import { RedirectError } from './reason.js';

export type Answer =
  | { readonly kind: 'answered'; readonly body: unknown }
  /** The ledger said no, before any work. */
  | { readonly kind: 'refused'; readonly error: ProblemError; readonly retryAfterMs: number }
  /** Whether the call took effect is unknown: no response, half of one, or one of a proxy in between. */
  | { readonly kind: 'lost'; readonly cause: unknown; readonly retryAfterMs: number };

/** For refusals without a problem document: something between client and ledger answered. */
const codeOfStatus: Readonly<Record<number, ProblemCode>> = {
  400: 'validation_failed',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  410: 'gone',
  412: 'precondition_failed',
  413: 'payload_too_large',
  415: 'unsupported_media_type',
  429: 'rate_limited',
  501: 'not_implemented',
};

const parseProblem = (text: string): Problem | null => {
  try {
    const value = JSON.parse(text) as Partial<Problem> | null;
    return typeof value?.code === 'string' && typeof value.status === 'number' ? (value as Problem) : null;
  } catch {
    return null;
  }
};

/** `Retry-After` in milliseconds, from seconds or a date; 0 without one. */
export const retryAfterMs = (headers: Headers): number => {
  const value = headers.get('retry-after');
  if (value === null) return 0;
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
};

const REDIRECTS = [301, 302, 303, 307, 308];

/** What a response that is no success says. */
export const readRefusal = async (response: Response): Promise<Exclude<Answer, { kind: 'answered' }>> => {
  const text = await response.text();
  // Where it leads a POST would arrive as a GET, or the API key at a stranger.
  if (REDIRECTS.includes(response.status) || response.type === 'opaqueredirect') {
    const cause = new RedirectError(response.status, response.headers.get('location'));
    return { kind: 'lost', cause, retryAfterMs: 0 };
  }
  const problem = parseProblem(text);
  const after = retryAfterMs(response.headers);
  const { status } = response;
  if (problem !== null) return { kind: 'refused', error: toProblemError(problem), retryAfterMs: after };
  if (status >= 502 && status <= 504) {
    return { kind: 'lost', cause: new Error(`HTTP ${status} without a problem document`), retryAfterMs: after };
  }
  const title = `HTTP ${status}`;
  const detail = text.slice(0, 200) || title;
  const code = codeOfStatus[status] ?? 'internal';
  return {
    kind: 'refused',
    error: toProblemError({ type: 'about:blank', title, status, detail, code }),
    retryAfterMs: after,
  };
};

/**
 * @param alsoAnswers statuses beyond 2xx whose body is an answer.
 * @throws when the body is cut or is no JSON: the outcome is lost.
 */
export const readAnswer = async (response: Response, alsoAnswers: readonly number[]): Promise<Answer> => {
  if (!response.ok && !alsoAnswers.includes(response.status)) return readRefusal(response);
  const text = await response.text();
  return { kind: 'answered', body: JSON.parse(text) as unknown };
};

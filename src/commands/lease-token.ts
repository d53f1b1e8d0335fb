import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Token } from '../domain/job-commands.js';

/**
 * Lease tokens: `<run>.<attempt>.<MAC>`, an HMAC over job, run and attempt. Recomputed, never stored, so that neither
 * a stored answer nor a log line can leak one.
 */
export class LeaseTokens {
  constructor(private readonly secret: string) {}

  issue(jobId: string, run: number, attempt: number): string {
    return `${run}.${attempt}.${this.mac(jobId, run, attempt)}`;
  }

  /** The attempt that the token names; null when it was not made here for this job. */
  read(jobId: string, token: string): Token {
    const match = /^([1-9][0-9]{0,8})\.([1-9][0-9]{0,8})\.([\w-]{43})$/.exec(token);
    if (match === null) return null;
    const run = Number(match[1]);
    const attempt = Number(match[2]);
    const expected = Buffer.from(this.mac(jobId, run, attempt));
    return timingSafeEqual(expected, Buffer.from(match[3] ?? '')) ? { run, attempt } : null;
  }

  private mac(jobId: string, run: number, attempt: number): string {
    return createHmac('sha256', this.secret).update(`${jobId} ${run} ${attempt}`).digest('base64url');
  }
}

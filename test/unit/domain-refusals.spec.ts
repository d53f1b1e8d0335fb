/** A refusal says what happened, and what to do next: the person who reads it has nothing else. */
import { describe, expect, it } from '@jest/globals';
import { AlreadyTerminal, IllegalTransition, StaleLease } from '../../src/domain/errors.js';
import type { JobStatus } from '../../src/domain/job-chart.js';

const stale = (status: JobStatus, token: { run: number; attempt: number } | null): string =>
  new StaleLease('complete', { status, run: 2, attempt: 3 }, token).message;

describe('a stale lease says', () => {
  it.each<[string, JobStatus, { run: number; attempt: number } | null, string]>([
    [
      'that the job was given to another attempt',
      'running',
      { run: 2, attempt: 1 },
      'attempt 1 has ended, and the job was given out again, as attempt 3; it is running. Drop this work',
    ],
    [
      'that the attempt has ended and nobody has the job yet',
      'queued',
      { run: 2, attempt: 3 },
      'attempt 3 has ended; the job is queued. Drop this work: the events of the job say how it ended',
    ],
    [
      'that the job is terminal',
      'failed',
      { run: 2, attempt: 3 },
      'attempt 3 has ended; the job is failed. Drop this work: the events of the job say how it ended',
    ],
    [
      'that a new run has begun',
      'queued',
      { run: 1, attempt: 3 },
      'attempt 3 of run 1 has ended, and run 2 has begun; the job is queued. Drop this work',
    ],
    [
      'that the job is being cancelled',
      'cancelling',
      { run: 2, attempt: 3 },
      'the job is being cancelled: stop attempt 3, and end it with `fail` or `release`',
    ],
    [
      'that the log is older than the token',
      'queued',
      { run: 2, attempt: 4 },
      'the ledger does not know attempt 4: its log is older than the token',
    ],
    [
      'nothing of a token that is none',
      'running',
      null,
      'the lease token is not one that a claim of this job gave: send the leaseToken of the claim',
    ],
  ])('%s', (_what, status, token, message) => {
    expect(stale(status, token)).toBe(message);
  });
});

it('other refusals say who moves the job on', () => {
  expect(new IllegalTransition('retry', 'queued').message).toBe(
    'retry is not possible while the job is queued (moved on by a worker, with a claim)',
  );
  expect(new AlreadyTerminal('cancel', 'failed').message).toBe(
    'the job is failed: its run has ended (moved on by a client, with `retry`, into a new run)',
  );
});

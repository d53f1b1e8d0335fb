import { describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { HttpException, NotFoundException } from '@nestjs/common';
import { StatementFailed } from '../../src/projections/transaction.js';
import { Problem } from '../../src/api/problem.js';
import { problemOf } from '../../src/api/problem-of.js';
import { KeyUnsettled } from '../../src/commands/answers.js';
import { Refused } from '../../src/commands/envelope.js';
import {
  DeadlineExceeded,
  IdempotencyKeyReused,
  JobNotFound,
  LeaseUnsettled,
  Overloaded,
  PreconditionFailed,
} from '../../src/commands/errors.js';
import { AlreadyTerminal, BrokenHistory, IllegalTransition, StaleLease } from '../../src/domain/errors.js';
import type { Job } from '../../src/domain/job.js';
import { LogUnavailable, StreamDeleted, TooLarge, Unavailable } from '../../src/event-store/event-store.js';
import { UnreadableEvent } from '../../src/projections/jobs/stored-job.js';

const job = { status: 'running', run: 2, attempt: 3, revision: 9 } as Job;
const standing = { jobStatus: 'running', run: 2, attempt: 3, revision: 9 };
const unreadable = new UnreadableEvent({ stream: 'job-secret', position: '1', type: 'T', version: 9 });

describe('an error becomes a problem', () => {
  it.each<[Error, number, string, object]>([
    [new Refused(new StaleLease('fail', job, { run: 2, attempt: 1 }), job), 409, 'stale_lease', standing],
    [new Refused(new AlreadyTerminal('start', 'running'), job), 409, 'already_terminal', standing],
    [
      new Refused(new IllegalTransition('retry', 'running'), job),
      409,
      'illegal_transition',
      { ...standing, from: 'running', command: 'retry' },
    ],
    [new JobNotFound('j'), 404, 'not_found', {}],
    [new PreconditionFailed(4, 9), 412, 'precondition_failed', { revision: 9 }],
    [new IdempotencyKeyReused(), 422, 'idempotency_key_reused', {}],
    [new Overloaded('too many commands wait'), 503, 'unavailable', {}],
    [new DeadlineExceeded(), 503, 'unavailable', {}],
    [new Unavailable('connection to 10.0.0.1 lost'), 503, 'unavailable', {}],
    [new TooLarge('job-1', 1_000), 413, 'payload_too_large', {}],
    [new StreamDeleted('job-1'), 410, 'gone', {}],
    [unreadable, 503, 'unavailable', {}],
    [new BrokenHistory('j', 'queued', 'JobStarted'), 503, 'unavailable', {}],
    [new NotFoundException('Cannot GET /x'), 404, 'not_found', {}],
    [new HttpException('teapot', 418), 400, 'validation_failed', {}],
    [Object.assign(new Error('too big'), { statusCode: 413 }), 413, 'payload_too_large', {}],
  ])('%s', (error, status, code, members) => {
    const document = problemOf(error)?.toJSON();
    expect(document).toMatchObject({ status, code, ...members });
    expect(JSON.stringify(document)).not.toMatch(/10\.0\.0\.1|secret/);
  });

  it('of a database that is away asks for a repeat of commands, not of questions', () => {
    const away = new Unavailable('lost');
    expect(problemOf(away)?.message).toMatch(/not known: repeat it with the same Idempotency-Key;/);
    expect(problemOf(away, true)?.message).toBe(
      'the database does not answer at the moment, or not in time; /health/ready says when the database is back',
    );
  });

  it('of a database whose disk is full says so, whoever met it', () => {
    const full = Object.assign(new pg.DatabaseError('No space left on device', 1, 'error'), { code: '53100' });
    for (const error of [new Unavailable('appending', { cause: full }), new StatementFailed(full)]) {
      expect(problemOf(error, true)?.message).toBe(
        'the database has no room left on its disk; whoever runs the database has to make room',
      );
      expect(problemOf(error)?.message).toMatch(
        /^the database has no room .* repeat it with the same Idempotency-Key;/,
      );
    }
  });

  it('of a log that is away names the log, and of an unsettled key the key', () => {
    const away = new LogUnavailable('10.0.0.1 refused');
    const whenBack = '/health/ready says when the log is back';
    expect(problemOf(away, true)?.message).toBe(
      `the log (EventStoreDB) does not answer at the moment, or not in time; ${whenBack}`,
    );
    expect(problemOf(away)?.message).toMatch(/^the log .* not known: repeat it with the same Idempotency-Key; .*log/);
    expect(problemOf(new KeyUnsettled())?.message).toBe(
      'the first call of this key is not settled yet: repeat it with the same Idempotency-Key',
    );
    expect(problemOf(new LeaseUnsettled())?.message).toBe(
      'whether the lease has ended is not known yet; nothing was done, repeat the call',
    );
  });

  it('that already is one stays as it is', () => {
    const problem = new Problem('gone', 'no longer');
    expect(problemOf(problem)).toBe(problem);
  });

  it.each([
    new Error('bug'),
    new TypeError('x'),
    'text',
    undefined,
    Object.assign(new Error('e'), { statusCode: 500 }),
  ])('unless it is a fault of ours: %s', (error) => {
    expect(problemOf(error)).toBeUndefined();
  });
});

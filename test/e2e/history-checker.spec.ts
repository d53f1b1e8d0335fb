/** The judge of the end-to-end tests: it passes a good history, and names what is wrong with a bad one. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { checkHistory } from '../support/e2e/history-checker.js';
import { JOB, type MadeCall, MadeHistory, OTHER } from '../support/e2e/made-history.js';

let made: MadeHistory;
/** Calls of the good history by what they do. */
let calls: Record<
  'create' | 'claim' | 'beat' | 'progress' | 'repeated' | 'read' | 'complete' | 'zombie' | 'second' | 'log',
  MadeCall
>;

/** Two jobs: one done at once, one whose first worker was lost, came back, and was refused. */
beforeEach(() => {
  made = new MadeHistory();
  const create = made.create(JOB, 'create');
  const claim = made.claim(JOB, 'claim', 'w1', 1);
  const progress = made.progress(JOB, 'progress', 1, 'b1', 3);
  const repeated = made.repeat(progress);
  made.progress(JOB, 'progress-2', 1, 'b2', 4);
  const read = made.read(JOB);
  const complete = made.complete(JOB, 'complete', 1);
  made.create(OTHER, 'create-other');
  made.claim(OTHER, 'claim-other', 'w1', 1);
  const beat = made.heartbeat(OTHER, 'beat', 1, made.events.at(-1)!.at);
  made.loseLease(OTHER, 'w1', 1);
  const second = made.claim(OTHER, 'claim-again', 'w2', 2);
  const zombie = made.refuse(OTHER, 'zombie', 'w1', 1);
  made.complete(OTHER, 'complete-other', 2);
  const log = made.readLog();
  calls = { create, claim, beat, progress, repeated, read, complete, zombie, second, log };
});

const eventOf = (type: string, jobId: string) =>
  made.events.find((event) => event.type === type && event.jobId === jobId)!;

const bodyOf = (call: MadeCall): Record<string, unknown> =>
  (call.outcome as unknown as { body: Record<string, unknown> }).body;

const setBody = (call: MadeCall, body: Record<string, unknown>): void => {
  const { outcome } = call;
  if (outcome?.kind === 'answered') call.outcome = { ...outcome, body: { ...bodyOf(call), ...body } };
};

const expectViolation = (pattern: RegExp): void => expect(checkHistory(made.end()).join('\n')).toMatch(pattern);

describe('a good history', () => {
  it('breaks no rule', () => expect(checkHistory(made.end())).toEqual([]));

  it('may hold calls whose outcome nobody knows', () => {
    calls.complete.outcome = { kind: 'unknown', cause: 'ECONNRESET' };
    expect(checkHistory(made.end())).toEqual([]);
  });
});

describe('the log', () => {
  it('misses a position', () => {
    for (const event of made.events.slice(5)) event.position = String(Number(event.position) + 1);
    expectViolation(/^position 6 is missing: the next is 7$/m);
  });

  it('has a time that falls', () => {
    made.events[4]!.at = '2020-01-01T00:00:00.000Z';
    expectViolation(/^time falls from .* at position 4 to 2020/m);
  });

  it('skips a revision of a stream', () => {
    eventOf('JobCompleted', JOB).revision += 1;
    expectViolation(/^stream job-.*0a: revision 5 at position 7, not 4$/m);
  });

  it('holds an event twice', () => {
    made.events[3]!.id = made.events[2]!.id;
    expectViolation(/^event event-3 stands at positions 3 and 4$/m);
  });

  it('has an event that cannot follow', () => {
    made.event({ jobId: JOB, key: 'x', type: 'JobStarted', data: { workerId: 'w1' }, to: 'running', attempt: 1 });
    const history = new MadeHistory();
    history.create(JOB, 'create');
    expect(checkHistory({ ...history.end(), events: made.events }).join('\n')).toMatch(
      /0a: its history is broken at position 18: .*JobStarted cannot follow in state completed/,
    );
  });

  it('has an event that says another state than the fold', () => {
    eventOf('JobCompleted', JOB).from = 'claimed';
    expectViolation(/0a: JobCompleted at position 7 says claimed → completed, it was running → completed$/m);
  });

  it('ends a run twice', () => {
    const history = made.end();
    made.event({ jobId: JOB, key: 'x', type: 'JobCompleted', to: 'completed', attempt: 1 });
    expect(checkHistory(history).join('\n')).toMatch(
      /0a: run 1 ended 2 times: JobCompleted at position 7, JobCompleted at position 18$/m,
    );
  });

  it('has a claim while another holds the lease', () => {
    const [lost, queued] = [eventOf('LeaseExpired', OTHER), made.events[12]!];
    lost.to = 'running';
    queued.to = 'running';
    expectViolation(/0b: claimed at position 14 while the lease of position 10 was held$/m);
  });

  it('skips an attempt', () => {
    eventOf('JobClaimed', JOB).attempt = 2;
    expectViolation(/0a: attempt 2 of run 1 at position 3, not 1$/m);
  });

  it('takes a fact from a worker that lost its lease', () => {
    made.progress(OTHER, 'late', 1, 'late', 1);
    expectViolation(/0b: a fact of run 1, attempt 1 at position 18, when that attempt held no lease$/m);
  });
});

describe('a part of a history', () => {
  /** The same, behind ten events and a job of which nothing is told any more. */
  const part = () => {
    const { events, jobs, calls: _calls, counters, ...history } = made.end();
    const later = (position: string): string => String(Number(position) + 10);
    const before = { completed: 1 };
    const [own] = counters;
    const sums = { completed: (own?.byStatus.completed ?? 0) + 1 };
    return {
      ...history,
      calls: [],
      since: {
        position: '10',
        counters: {
          ...{ position: '10', at: '', total: 1, byStatus: before, byQueue: { default: before } },
          ...{ byType: { report: before }, events: 9 },
        },
      },
      events: events.map((event) => ({ ...event, position: later(event.position) })),
      jobs: jobs.map((job) => ({ ...job, position: later(job.position) })),
      counters: counters.map((each) => ({
        ...{ ...each, position: later(each.position), total: each.total + 1, events: each.events + 9 },
        ...{ byStatus: sums, byQueue: { default: sums }, byType: { report: sums } },
      })),
    };
  };

  it('goes on where the one before ended', () => expect(checkHistory(part())).toEqual([]));

  it('misses its first position', () => {
    const { since, ...rest } = part();
    expect(checkHistory({ ...rest, since: { ...since, position: '9' } }).join('\n')).toMatch(
      /^position 10 is missing: the next is 11$/m,
    );
  });

  it('counts a job of before no more', () => {
    const { counters, ...rest } = part();
    const lost = counters.map((each) => ({ ...each, total: each.total - 1 }));
    expect(checkHistory({ ...rest, counters: lost }).join('\n')).toMatch(
      /^counters: total is 2 .*, the jobs sum up to 3/m,
    );
  });
});

describe('a log in EventStoreDB', () => {
  const check = (): string => checkHistory({ ...made.end(), log: 'eventstoredb' }).join('\n');

  it('has gaps between positions, and times that fall from one stream to another', () => {
    const history = made.end();
    const far = (position: string): string => String(100 * Number(position));
    for (const event of made.events) event.position = far(event.position);
    const events = made.events.map((event) => ({
      ...event,
      at: event.stream.endsWith(OTHER) ? event.at : made.events[0]!.at,
    }));
    const calls = made.calls.filter(({ path }) => path === '/v1/events');
    expect(
      checkHistory({ ...history, calls, events, jobs: [], counters: [], log: 'eventstoredb' }).join('\n'),
    ).not.toMatch(/position \d+ is missing|time falls/);
  });

  it('has a position or a time of a stream that falls', () => {
    const history = made.end();
    eventOf('JobCompleted', JOB).at = '2020-01-01T00:00:00.000Z';
    made.events[9]!.position = '2';
    const check = (): string => checkHistory({ ...history, log: 'eventstoredb' }).join('\n');
    expect(check()).toMatch(/^time falls from .* to 2020-01-01T00:00:00.000Z at position 7$/m);
    expect(check()).toMatch(/^position 2 stands after 9$/m);
  });

  it('may hold a fact that came after the end of its attempt, when nobody was told that it was taken', () => {
    made.progress(OTHER, 'late', 1, 'late', 1).outcome = { kind: 'unknown', cause: 'ECONNRESET' };
    expect(check()).not.toMatch(/a fact of run/);
  });

  it('acknowledged a fact that came after the end of its attempt', () => {
    made.progress(OTHER, 'late', 1, 'late', 1);
    expect(check()).toMatch(
      /0b: a fact of run 1, attempt 1 at position 18, after that attempt had ended, was taken: call #/m,
    );
  });

  it('counts a fact that came after the end of its attempt', () => {
    made.progress(JOB, 'late', 1, 'late', 1).outcome = { kind: 'unknown', cause: 'ECONNRESET' };
    const history = made.end();
    const jobs = history.jobs.map((job) =>
      job.id === JOB ? { ...job, progress: { ...job.progress, processed: 8 } } : job,
    );
    expect(checkHistory({ ...history, jobs, log: 'eventstoredb' }).join('\n')).toMatch(
      /0a: processed is 8, its 2 batches sum up to 7/,
    );
  });

  it('has a fact of an attempt that was never claimed', () => {
    made.progress(OTHER, 'early', 7, 'early', 1).outcome = { kind: 'unknown', cause: 'ECONNRESET' };
    expect(check()).toMatch(/0b: a fact of run 1, attempt 7 at position 18, when that attempt held no lease$/m);
  });
});

describe('an answer', () => {
  it('names an event that is not there', () => {
    setBody(calls.complete, { events: ['JobFailed'] });
    expectViolation(/0a: JobFailed was answered up to position 7, where JobCompleted of complete stands: call #6/);
  });

  it('names the event of another call', () => {
    eventOf('JobCompleted', JOB).commandId = 'somebody';
    expectViolation(/0a: JobCompleted was answered up to position 7, where JobCompleted of somebody stands/);
  });

  it('says that the job stood elsewhere', () => {
    setBody(calls.progress, { status: 'completed' });
    expectViolation(/0a: answered completed, run 1, attempt 1 at revision 3, where the log has running/);
  });

  it('hands one lease to two', () => {
    const twice = made.repeat(calls.claim);
    twice.key = 'another';
    twice.body = { workerId: 'w2' };
    expectViolation(/0a: run 1, attempt 1 was handed out twice: call #1 .*, call #1[0-9] /);
  });

  it('hands out a lease that is not in the log', () => {
    eventOf('JobClaimed', JOB).data = { ...eventOf('JobClaimed', JOB).data, workerId: 'w9' };
    expectViolation(/0a: run 1, attempt 1 was handed to w1, in the log it is of w9 by command claim/);
  });

  it('differs from the first answer of its key', () => {
    setBody(calls.repeated, { position: '6' });
    expectViolation(/^the same key was answered otherwise: call #2 .*, call #3 /m);
  });

  it('is new for the second time', () => {
    calls.repeated.outcome = calls.progress.outcome;
    expectViolation(/^the same key was answered as new twice: call #2 .*, call #3 /m);
  });

  it('takes effect twice', () => {
    made.progress(OTHER, 'create-other', 2, 'b9', 1);
    expectViolation(/0b: the key took effect more than once, with JobCreated at position 8, .*ProgressRecorded/);
  });

  it('takes effect on two jobs', () => {
    for (const event of made.events) if (event.commandId === 'create-other') event.commandId = 'create';
    expectViolation(/0a, .*0b: the key took effect more than once/);
  });

  it('refuses what was done', () => {
    calls.complete.outcome = { kind: 'answered', status: 409, headers: {}, body: { code: 'illegal_transition' } };
    expectViolation(/0a: refused, and JobCompleted is at position 7: call #6/);
  });

  it('refuses a good lease', () => {
    calls.zombie.body = { leaseToken: `${OTHER} 2` };
    expectViolation(/0b: a good lease was refused at revision 7: call #11/);
  });

  it('refuses with a state that never was', () => {
    setBody(calls.zombie, { jobStatus: 'cancelled' });
    expectViolation(/0b: refused as cancelled at revision 7, where it was running: call #11/);
  });

  it('refuses without keeping the refusal', () => {
    const refusal = eventOf('CommandRefused', OTHER);
    refusal.data = { ...refusal.data, command: 'fail' };
    expectViolation(/0b: the refusal stale_lease is not recorded: call #11/);
  });

  it('is a fault', () => {
    calls.read.outcome = { kind: 'answered', status: 500, headers: {}, body: { code: 'internal' } };
    expectViolation(/^a fault: \{"code":"internal"\}: call #5 /m);
  });

  it('is "not now" without saying when', () => {
    calls.read.outcome = { kind: 'answered', status: 503, headers: {}, body: { code: 'unavailable' } };
    expectViolation(/^503 without Retry-After: call #5 /m);
  });

  it('promises a lease that was lost before', () => {
    setBody(calls.beat, { leaseExpiresAt: '2026-01-01T01:00:00.000Z' });
    expectViolation(/0b: the lease was lost at .*, position 12, though it was promised until 2026-01-01T01/);
  });

  it('counts less than was acknowledged', () => {
    for (const call of [calls.progress, calls.repeated]) {
      call.body = { leaseToken: `${JOB} 1`, batchId: 'b1', processed: 30 };
    }
    expectViolation(/0a: processed is 7, clients know of at least 34 and at most 34$/m);
  });

  it('stands before what was told already', () => {
    Object.assign(calls.create, { invokedAt: calls.read.returnedAt! + 0.1, returnedAt: calls.read.returnedAt! + 0.2 });
    expectViolation(/0a: JobCreated at position 1, though position 6 was told before it was asked/);
  });
});

describe('a read', () => {
  it('is older than what was told', () => {
    setBody(calls.read, { revision: 1, position: '2' });
    expectViolation(/0a: revision 1 after 3 was told: call #1 .*, call #5 /);
  });

  it('is older in its facts alone', () => {
    setBody(calls.read, { position: '5' });
    expectViolation(/0a: position 5 after 6 was told: call #4 .*, call #5 /);
  });

  it('does not find what was told', () => {
    calls.read.outcome = { kind: 'answered', status: 404, headers: {}, body: { code: 'not_found' } };
    expectViolation(/0a: not found after call #1 .*: call #5 /);
  });

  it('says a position that is behind what was told', () => {
    const { outcome } = calls.read;
    if (outcome?.kind === 'answered') calls.read.outcome = { ...outcome, headers: { 'x-position': '4' } };
    expectViolation(/^X-Position 4 after 6 was told: call #4 .*, call #5 /m);
  });

  it('says a position that it does not reflect', () => {
    const { outcome } = calls.read;
    if (outcome?.kind === 'answered') calls.read.outcome = { ...outcome, headers: { 'x-position': '7' } };
    expectViolation(/0a: shown at position 6 with X-Position 7, without JobCompleted at position 7: call #5 /);
  });

  it('cuts the log off', () => {
    setBody(calls.log, { items: made.events.slice(0, -1) });
    expectViolation(/^the log was read up to position 16 only, X-Position is 17: call #13 /m);
  });

  it('shows half a change', () => {
    setBody(calls.read, { status: 'completed' });
    expectViolation(/0a: status is shown as "completed" at position 6, the log says "running": call #5 /);
  });

  it('shows counts that never were', () => {
    setBody(calls.read, { progress: { ...made.view(JOB).progress, processed: 5 } });
    expectViolation(/0a: progress is shown as \{"processed":5,.* at position 6, the log says \{"processed":7/);
  });
});

describe('at rest', () => {
  it('a job is behind its events', () => {
    const history = made.end();
    Object.assign(history.jobs[0]!, { position: '6' });
    expect(checkHistory(history).join('\n')).toMatch(/0a: shown at rest at position 6, its last event is at 7$/m);
  });

  it('a job is in no list', () => {
    const history = made.end();
    expect(checkHistory({ ...history, jobs: history.jobs.slice(1) }).join('\n')).toMatch(
      /0a: in the log, and in no list$/m,
    );
  });

  it('progress is not the sum of its batches', () => {
    const history = made.end();
    Object.assign(history.jobs[0]!.progress, { processed: 10 });
    expect(checkHistory(history).join('\n')).toMatch(/0a: processed is 10, its 2 batches sum up to 7$/m);
  });

  it.each(['total', 'byStatus', 'byQueue', 'byType', 'events'] as const)('the counter %s is not the sum', (field) => {
    const history = made.end();
    const wrong = { total: 3, byStatus: {}, byQueue: {}, byType: {}, events: 1 };
    Object.assign(history.counters[0]!, { [field]: wrong[field] });
    expect(checkHistory(history).join('\n')).toMatch(new RegExp(`^counters: ${field} is .*, the jobs sum up to `, 'm'));
  });
});

/** What a command refuses by itself: nothing is sent that would be kept otherwise than it was given. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JobledgerClient } from '../../src/client/client.js';
import type { Call, Command } from '../../src/cli/command.js';
import { readValues } from '../../src/cli/command-line.js';
import { jobMoves } from '../../src/cli/commands/job-moves.js';
import { jobsCreate } from '../../src/cli/commands/jobs-create.js';
import { keys } from '../../src/cli/commands/keys.js';
import { eventsTail } from '../../src/cli/commands/tails.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { UsageError } from '../../src/cli/usage-error.js';
import { answer, ScriptedLedger, stream } from '../support/scripted-ledger.js';

const JOB = '0198c0de-0000-7000-8000-000000000000';

let ledger: ScriptedLedger;
beforeEach(async () => (ledger = await ScriptedLedger.start()));
afterEach(() => ledger.close());

const run = (command: Command, ...args: readonly string[]): Promise<number> => {
  const terminal: Partial<Terminal> = { note: () => undefined, line: () => Promise.resolve() };
  const client = new JobledgerClient({ baseUrl: ledger.url, retry: { deadlineMs: 0 } });
  return command.run({ values: readValues(command, args), terminal, ledger: client, env: {}, cwd: tmpdir() } as Call);
};

const refusal = async (ran: Promise<number>): Promise<string> => {
  const error: unknown = await ran.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UsageError);
  expect(ledger.calls).toEqual([]);
  return (error as Error).message;
};

describe('JSON on the command line', () => {
  it.each<[string, string, string, string]>([
    [
      'a number that a double changes, and a name that is given twice',
      'payload',
      '{"n":12345678901234567890,"a":1,"a":2}',
      'payload.n must be a number that a double keeps: 12345678901234567890 would become 12345678901234567000; send it as a string; payload.a is given more than once',
    ],
    [
      'such a name deep inside',
      'policy',
      '{"retry":{"factor":2,"factor":3}}',
      'policy.retry.factor is given more than once',
    ],
    ['what no database keeps', 'payload', String.raw`["\u0000"]`, String.raw`payload[0] must not hold \u0000`],
    [
      'a depth that the service refuses',
      'payload',
      '['.repeat(100) + ']'.repeat(100),
      'the body must not nest deeper than 100',
    ],
  ])('is refused in the words of the service: %s', async (_what, option, text, words) => {
    expect(await refusal(run(jobsCreate, '--type', 'x', `--${option}`, text))).toBe(`--${option}: ${words}`);
  });

  it('is one value: what would make members of its own is none', async () => {
    expect(await refusal(run(jobsCreate, '--type', 'x', '--payload', '1,"type":"y"'))).toMatch(
      /^--payload: expected JSON, as /,
    );
  });

  it('goes to the service as it was given', async () => {
    ledger.script('POST /v1/jobs', answer({ jobId: JOB }, 201));
    await run(
      jobsCreate,
      '--type',
      'x',
      '--payload',
      '{"n":9007199254740992,"payload":[1e2]}',
      '--policy',
      '{"leaseMs":1000}',
    );
    expect((await ledger.received('POST /v1/jobs')).body).toEqual({
      ...{ type: 'x', payload: { n: 9007199254740992, payload: [100] }, policy: { leaseMs: 1000 } },
    });
  });
});

describe('events tail', () => {
  const notesOf = async (...args: readonly string[]): Promise<readonly string[]> => {
    const notes: string[] = [];
    const terminal = { note: (text: string) => notes.push(text) } as unknown as Terminal;
    const client = new JobledgerClient({ baseUrl: ledger.url });
    const values = readValues(eventsTail, [...args, '--no-follow']);
    const frame = 'event: caught-up\ndata: {"position":"4"}\n\n';
    ledger.script('GET /v1/streams/events', stream([frame], 'open'));
    const { signal } = new AbortController();
    const call = { values, terminal, ledger: client, signal, connection: { timeoutMs: null } } as unknown as Call;
    expect(await eventsTail.run(call)).toBe(0);
    return notes;
  };

  it('says of an event that it does not know what was probably meant, and asks for it: the service may be newer', async () => {
    expect(await notesOf('--event', 'JobFialed', '--event', 'JobCompleted,PageTurned')).toEqual([
      '--event: no event JobFialed is known, did you mean JobFailed? A newer service may have it',
      '--event: no event PageTurned is known: a newer service may have it',
    ]);
    const { query } = await ledger.received('GET /v1/streams/events');
    expect(query.getAll('types')).toEqual(['JobFialed', 'JobCompleted,PageTurned']);
  });

  it('says nothing of events that it knows', async () => {
    expect(await notesOf('--event', 'JobFailed', '--event', 'CommandRefused,WorkerStateReported')).toEqual([]);
    expect(await notesOf()).toEqual([]);
  });
});

describe('jobs reschedule', () => {
  const reschedule = jobMoves.find(({ words }) => words[1] === 'reschedule')!;

  it.each([[[]], [['--delay-ms', '1', '--available-at', '2026-01-31T12:00:00Z']]])(
    'wants to know when, once: %j',
    async (given) => {
      expect(await refusal(run(reschedule, JOB, ...given))).toBe('Give one of --available-at and --delay-ms');
    },
  );
});

describe('keys create', () => {
  it('says what an id is, and makes no file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'jobledger-keys-'));
    const file = join(folder, 'keys.yaml');
    const create = keys.find(({ words }) => words[1] === 'create')!;
    try {
      const ran = (id: string) => refusal(run(create, id, '--role', 'worker', '--file', file));
      expect(await ran('a b')).toBe('ID must be a name of 1–120 characters of A–Z a–z 0–9 . _ : / -, not "a b"');
      expect(await ran('anonymous')).toMatch(/^ID must not be anonymous: /);
      expect(existsSync(file)).toBe(false);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

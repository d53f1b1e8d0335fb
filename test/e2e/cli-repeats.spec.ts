/** `jobledger` when it does not learn what came of a command: how to repeat it is told, and nothing is done twice. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { buildService } from '../support/e2e/build.js';
import { runCli } from '../support/e2e/cli-process.js';
import { answer, loseAnswer, problem, type Reply, ScriptedLedger } from '../support/scripted-ledger.js';

beforeAll(buildService, 120_000);

describe('a command whose outcome is not known', () => {
  const JOB = '0198c0de-0000-7000-8000-000000000000';
  const done = answer({ jobId: JOB, status: 'cancelled', events: ['JobCancelled'] });
  const redirected: Reply = (response) => {
    response.writeHead(301, { location: 'https://elsewhere.test/v1/jobs' }).end();
  };
  it.each([
    ['jobs create', 'POST /v1/jobs', loseAnswer, answer({ jobId: JOB }, 201), ['--type', 'x']],
    ['jobs create', 'POST /v1/jobs', problem(503, 'unavailable'), answer({ jobId: JOB }, 201), ['--type', 'x']],
    ['jobs create', 'POST /v1/jobs', redirected, answer({ jobId: JOB }, 201), ['--type', 'x']],
    ['jobs create', 'POST /v1/jobs', answer({}), answer({ jobId: JOB }, 201), ['--type', 'x']],
    ['jobs cancel', `POST /v1/jobs/${JOB}/cancel`, loseAnswer, done, [JOB]],
    ['reaper sweep', 'POST /v1/admin/reaper/sweep', loseAnswer, answer({ jobs: [], errors: 0 }), []],
  ] as const)('names the option that repeats it under the same key: %s', async (words, call, reply, later, args) => {
    const scripted = await ScriptedLedger.start();
    try {
      scripted.script(call, reply, later);
      const given = [...words.split(' '), ...args, '--url', scripted.url];
      const ran = await runCli(given);
      expect([ran.code, ran.stderr]).toEqual([3, expect.stringMatching(/ --idempotency-key [\w-]{36}: /)]);
      const key = / --idempotency-key (\S+): /.exec(ran.stderr)![1]!;
      expect((await runCli([...given, '--idempotency-key', key])).code).toBe(0);
      const [first, second] = scripted.requests.map(({ headers }) => headers['idempotency-key']);
      expect(first).toContain(key);
      expect(second).toBe(first);
    } finally {
      await scripted.close();
    }
  });

  it('says where it was redirected, and of an answer that is none what is lacking', async () => {
    const scripted = await ScriptedLedger.start();
    try {
      scripted.script('POST /v1/jobs', redirected, answer({}));
      const create = () => runCli(['jobs', 'create', '--type', 'x', '--url', scripted.url]);
      const unknown = 'jobledger jobs create: whether it was done is not known: no answer';
      expect((await create()).stderr).toContain(
        `${unknown} (HTTP 301 redirects to https://elsewhere.test/v1/jobs, which is not followed: set the URL of the service itself)`,
      );
      const { stdout, stderr } = await create();
      expect(stderr).toContain(`${unknown} (an answer without jobId, so not of the service: does the URL lead to it?)`);
      expect(stdout).toBe('');
    } finally {
      await scripted.close();
    }
  });

  it('of several jobs has a key for each', async () => {
    const scripted = await ScriptedLedger.start();
    try {
      const other = JOB.replace(/0$/, '1');
      for (const id of [JOB, other]) scripted.script(`POST /v1/jobs/${id}/cancel`, done);
      await runCli(['jobs', 'cancel', JOB, other, '--idempotency-key', 'k', '--url', scripted.url]);
      const keys = scripted.requests.map(({ headers }) => headers['idempotency-key']);
      expect(keys).toEqual([`k/${JOB}`, `k/${other}`]);
    } finally {
      await scripted.close();
    }
  });
});

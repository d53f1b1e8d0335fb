/** A worker as a process of its own: what holds it open. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from '@jest/globals';
import { neverAnswer, problem, ScriptedLedger } from '../support/scripted-ledger.js';
import { CLAIM, claimedJob, claims } from '../support/worked-job.js';

it('lives while it is started, though all of its slots hang, and ends when it has stopped', async () => {
  const ledger = await ScriptedLedger.start();
  ledger.script(CLAIM, claims(claimedJob('a')), neverAnswer);
  ledger.script('POST /v1/jobs/a/heartbeat', problem(409, 'stale_lease'));
  const program = ['--import', './test/support/register-typescript.mjs', 'test/support/hanging-worker.ts', ledger.url];
  const child = spawn(process.execPath, program, { stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    const said = { out: '', err: '' };
    const ended = once(child, 'close');
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text));
    // The last that it does, unless something holds it.
    while (!said.err.includes('slots are held') && child.exitCode === null)
      await Promise.race([once(child.stderr, 'data'), ended]);
    child.kill('SIGTERM');
    expect([await ended, said.out]).toEqual([[0, null], 'stopped\nnothing is left to do\n']);
  } finally {
    child.kill('SIGKILL');
    await ledger.close();
  }
});

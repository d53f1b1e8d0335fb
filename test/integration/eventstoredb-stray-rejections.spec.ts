/** What a client rejects and hands to nobody: dropped while a driver is open; any other unhandled rejection ends the process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from '@jest/globals';

/** Runs a program in a process of its own, since an unhandled rejection ends it. @returns its exit code and its output */
const run = async (body: string): Promise<readonly [number | null, string]> => {
  const program = `
    import { dropStrayRejections } from './src/event-store/eventstoredb/stray-rejections.ts';
    const strayOf = (code, caller) => {
      const error = new Error('14 UNAVAILABLE: the call was dropped');
      return Object.assign(error, { code, details: 'the call was dropped', stack: error.message + '\\n    at Client.' + caller });
    };
    const reject = (error) => void Promise.reject(error);
    const settled = () => new Promise((resolve) => setImmediate(resolve));
    ${body}
    process.stdout.write('went on');`;
  const args = ['--import', './test/support/register-typescript.mjs', '--input-type=module', '--eval', program];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return [code, output];
};

it.each(['appendToStream', 'batchAppend'])('of %s are dropped while somebody needs it', async (caller) => {
  const [code, output] = await run(
    `const [stop] = [dropStrayRejections(), dropStrayRejections()]; stop(); stop();
     reject(strayOf(14, '${caller}')); await settled();`,
  );
  expect(output).toBe('went on');
  expect(code).toBe(0);
});

it.each([
  ['of another call', `reject(strayOf(14, 'readAll'))`],
  ['that is no error of gRPC', `reject(new Error('a fault of ours in appendToStream'))`],
  ['that is no error', `reject(undefined)`],
])('%s ends the process', async (_, rejects) => {
  const [code, output] = await run(`dropStrayRejections(); ${rejects}; await settled();`);
  expect(output).not.toMatch(/went on/);
  expect(code).not.toBe(0);
});

it('of an append ends the process when nobody needs it any more', async () => {
  const [code, output] = await run(
    `const [first, second] = [dropStrayRejections(), dropStrayRejections()]; first(); second();
     reject(strayOf(14, 'appendToStream')); await settled();`,
  );
  expect(output).not.toMatch(/went on/);
  expect(code).not.toBe(0);
});

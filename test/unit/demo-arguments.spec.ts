import { describe, expect, it } from '@jest/globals';
import { readArguments, UsageError } from '../../src/cli/demo/arguments.js';

const read = (args: readonly string[], env: NodeJS.ProcessEnv = {}) => readArguments(args, env, '/here');

describe('the command line of the demo', () => {
  it('has defaults for everything', () => {
    const args = read([]);
    expect(args).toMatchObject({ workers: 4, leaseMs: 2_000, url: null, own: false });
    expect(args.folder).toMatch(/node_modules$/);
  });

  it('takes a folder from where npm was called, else from where it is', () => {
    expect(read(['x'], { INIT_CWD: '/there' }).folder).toBe('/there/x');
    expect(read(['x']).folder).toBe('/here/x');
    expect(read(['/abs']).folder).toBe('/abs');
  });

  it('takes the service from the option, then from the environment', () => {
    const env = { JOBLEDGER_URL: 'http://env:1' };
    expect(read([], env).url).toBe('http://env:1');
    expect(read(['--url', 'http://option:1'], env).url).toBe('http://option:1');
    expect(read(['--own'], env).url).toBeNull();
    expect(read([], { JOBLEDGER_URL: '' }).url).toBeNull();
  });

  it.each([
    [['a', 'b'], /one folder/],
    [['--workers', '0'], /--workers: expected a whole number from 1 to 64/],
    [['--workers', '2'], /with faults at least 3/],
    [['--lease-ms', '1e3'], /--lease-ms/],
    [['--url', 'ftp://x'], /URL of a service/],
    [['--own', '--url', 'http://x'], /exclude each other/],
    [['--colour'], /--colour/],
  ])('refuses %j', (args, message) => {
    expect(() => read(args)).toThrow(UsageError);
    expect(() => read(args)).toThrow(message);
  });

  it('needs fewer workers when nobody is killed', () => {
    expect(read(['--workers', '1', '--no-faults'])).toMatchObject({ workers: 1, faults: false });
  });
});

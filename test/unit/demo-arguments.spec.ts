import { describe, expect, it } from '@jest/globals';
import { readValues } from '../../src/cli/command-line.js';
import { demo } from '../../src/cli/commands/demo.js';
import { readConnection } from '../../src/cli/connection.js';
import { readArguments } from '../../src/cli/demo/arguments.js';
import { UsageError } from '../../src/cli/usage-error.js';

const read = (args: readonly string[], env: NodeJS.ProcessEnv = {}) => {
  const values = readValues(demo, args);
  return readArguments(values, readConnection(values, env), '/here');
};

describe('the command line of the demo', () => {
  it('has defaults for everything', () => {
    expect(read([])).toMatchObject({
      ...{ kind: 'catalogue', workers: 4, leaseMs: 2_000, url: null, own: false },
      folder: expect.stringMatching(/node_modules$/),
    });
  });

  it('takes a folder or a log from where the user is', () => {
    expect(read(['x'])).toMatchObject({ folder: '/here/x' });
    expect(read(['/abs'])).toMatchObject({ folder: '/abs' });
    expect(read(['--swf', 'x.swf'])).toMatchObject({ kind: 'replay', file: '/here/x.swf' });
  });

  it('plays a log as fast as it goes, all of it, unless told otherwise', () => {
    expect(read(['--swf', 'x'])).toMatchObject({ speed: null, limit: Infinity, leaseMs: 10_000 });
    expect(read(['--swf', 'x', '--speed', '2.5', '--limit', '7'])).toMatchObject({ speed: 2.5, limit: 7 });
    expect(read(['--swf', 'x', '--speed', '1e5'])).toMatchObject({ speed: 100_000 });
  });

  it('takes the service from the option, then from the environment', () => {
    const env = { JOBLEDGER_URL: 'http://env:1', JOBLEDGER_API_KEY: 'k' };
    expect(read([], env)).toMatchObject({ url: 'http://env:1', apiKey: 'k' });
    expect(read(['--url', 'http://option:1'], env).url).toBe('http://option:1');
    expect(read(['--own'], env)).toMatchObject({ url: null, apiKey: null });
    expect(read([], {}).url).toBeNull();
  });

  it.each([
    [['a', 'b'], /expected \[FOLDER\]/],
    [['--workers', '0'], /--workers: expected a whole number from 1 to 64/],
    [['--workers', '2'], /with faults at least 3/],
    [['--lease-ms', '1e3'], /--lease-ms/],
    [['--url', 'ftp://x'], /URL of a service/],
    [['--own', '--url', 'http://x'], /exclude each other/],
    [['--colour'], /--colour/],
    [['x', '--swf', 'y'], /exclude each other/],
    [['--speed', '2'], /goes with --swf/],
    [['--limit', '2'], /goes with --swf/],
    [['--swf', 'x', '--limit', '0'], /--limit: expected a whole number from 1/],
    [['--swf', 'x', '--speed', '0'], /--speed: expected a number from 0.001/],
    [['--swf', 'x', '--speed', 'fast'], /--speed: expected a number/],
  ])('refuses %j', (args, message) => {
    expect(() => read(args)).toThrow(UsageError);
    expect(() => read(args)).toThrow(message);
  });

  it('needs fewer workers when nobody is killed', () => {
    expect(read(['--workers', '1', '--no-faults'])).toMatchObject({ workers: 1, faults: false });
  });
});

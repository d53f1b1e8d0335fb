/** What `npm run soak` takes, and how it says what it does not take. */
import { describe, expect, it } from '@jest/globals';
import { readArguments } from '../soak/arguments.js';

const read = (...args: readonly string[]) => readArguments(args, () => 0.5);

describe('the command line of a soak', () => {
  it('has defaults for all', () => {
    expect(read()).toEqual({
      minutes: 3,
      lifecycles: null,
      log: 'postgres',
      seed: 2_147_483_647,
      ...{ keep: null, faults: null, load: 'all' },
    });
  });

  it('takes each option', () => {
    expect(read('--lifecycles', '500', '--log=eventstoredb', '--seed', '0', '--keep', 'there')).toEqual({
      ...{ minutes: 3, lifecycles: 500, log: 'eventstoredb', seed: 0, keep: 'there', faults: null },
      load: 'all',
    });
    expect(read('--load', 'many')).toMatchObject({ load: 'many' });
    expect(read('--minutes', '15')).toMatchObject({ minutes: 15 });
    expect(read('--faults', 'kill,stall')).toMatchObject({ faults: ['kill', 'stall'] });
  });

  it.each([
    [['--minute', '3'], 'no such option: --minute, did you mean --minutes?'],
    [['--minutes', '0'], '--minutes: expected a whole number from 1 to 1440, not "0"'],
    [['--seed', '-1'], '--seed: expected a whole number from 0 to 4294967295, not "-1"'],
    [['--seed'], '--seed: expected a value'],
    [['--load', 'lots'], '--load: expected one of all, many, not "lots"'],
    [['--log', 'oracle'], '--log: expected one of postgres, eventstoredb, not "oracle"'],
    [['--minutes', '1', '--lifecycles', '1'], '--minutes and --lifecycles: expected one of them'],
    [['--faults', 'kill,flood'], '--faults: expected some of kill,'],
    [['--keep', 'a', '--keep', 'b'], '--keep is given twice'],
    [['forever'], 'no arguments are taken, and forever was given'],
  ])('%j is refused', (args, message) => expect(() => read(...args)).toThrow(message));
});

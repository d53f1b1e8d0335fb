/** Events that were written once are read for ever. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { EVENT_TYPES, versionOf } from '../../src/domain/upcast.js';
import { foldCounters } from '../../src/projections/counters/fold-counters.js';
import { replay } from '../../src/projections/jobs/stored-job.js';
import { complaintAbout, GOLDEN_FOLDER, goldenFiles, leafOf, readGolden, recordedOf } from '../support/golden.js';

const kept = readdirSync(GOLDEN_FOLDER);
const logs = kept.filter((name) => name.endsWith('.jsonl'));
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(name, GOLDEN_FOLDER), 'utf8'));

it('there is a golden file of every version of every type, and no other', () => {
  const expected = EVENT_TYPES.flatMap((type) =>
    Array.from({ length: versionOf(type) }, (_, before) => Object.values(goldenFiles(type, before + 1))).flat(),
  );
  // A type or version without one: `npm run golden` writes it.
  expect([...kept].sort()).toEqual(expected.sort());
});

describe.each(logs)('%s', (log) => {
  const golden = readGolden(log);
  const events = golden.map(recordedOf);

  it('has the hashes that it was stored with', () => {
    expect(golden.map(leafOf)).toEqual(golden.map(({ leaf }) => leaf));
  });

  it('folds into the job that it was; fields that came since are allowed', () => {
    expect(replay(events).stored).toMatchObject(read(log.replace('.jsonl', '.job.json')) as object);
  });

  it('is counted', () => {
    const { events: counted, moves } = foldCounters(events);
    expect([...counted.values()].reduce((sum, n) => sum + n)).toBe(events.length);
    expect([...moves.values()]).toEqual([{ from: null, to: replay(events).stored!.job.status }]);
  });
});

it.each(EVENT_TYPES)('%s is written as its golden file has it', async (type) => {
  expect(await complaintAbout(type, readGolden(goldenFiles(type, versionOf(type)).log))).toBeUndefined();
});

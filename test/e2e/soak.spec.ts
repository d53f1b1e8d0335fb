/** A short soak, as `npm run soak` makes long ones: the first faults that a change would fall over. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { FIXED_SEED } from '../support/seeds.js';
import { dossier } from '../soak/dossier.js';
import { Site } from '../soak/site.js';
import { Soak } from '../soak/soak.js';

const LIMIT_MS = 240_000;

let site: Site;
beforeAll(async () => {
  site = await Site.open('postgres', () => undefined);
}, LIMIT_MS);
afterAll(() => site.close(), LIMIT_MS);

it(
  'a kill, a freeze, a crash of the database and a rebuild, under commands of every kind, break no rule',
  async () => {
    const soak = new Soak(site, {
      seed: FIXED_SEED,
      script: ['kill', 'freeze', 'databaseCrash', 'rebuild'],
      isEnough: () => true,
    });
    const broken = await soak.run();
    expect(broken === null ? [] : dossier(broken)).toEqual([]);
    expect(soak.progress).toMatchObject({ parts: 1, violations: 0, faults: { length: 4 } });
  },
  LIMIT_MS,
);

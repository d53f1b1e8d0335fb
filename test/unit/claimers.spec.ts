/** Who asked is noted for people: however many ask, it takes no more room than it may. */
import { expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { Claimers } from '../../src/leases/claimers.js';

it('notes no more than can be written at once', async () => {
  const written: number[] = [];
  const query = ({ name, values }: { name: string; values: readonly (readonly unknown[])[] }) => {
    if (name === 'claimers-write') written.push(values[0]!.length);
    return Promise.resolve({ rows: [] });
  };
  const claimers = new Claimers({ query } as unknown as Pool);
  for (let n = 0; n < 5_010; n += 1) claimers.note(`w${n}`, {});
  await claimers.of([]);
  claimers.note('w', {});
  await claimers.of([]);
  claimers.stop();
  expect(written).toEqual([5_000, 1]);
});

/** A claim whose candidates are being appended is answered by that append alone, whatever else goes wrong meanwhile. */
import { expect, it } from '@jest/globals';
import type { ClaimRequest } from '../../src/commands/claim-request.js';
import { Claims } from '../../src/commands/claims.js';
import type { Reserved } from '../../src/leases/leases.js';
import type { StoredJob } from '../../src/projections/jobs/stored-job.js';

const request = (): ClaimRequest => ({
  ...{ workerId: 'w', filter: {}, max: 1, waitMs: 0, leaseMs: null, start: true, idempotency: null },
  origin: { actor: { type: 'worker', id: 'w' }, commandId: 'c', correlationId: null, traceparent: null },
  signal: new AbortController().signal,
});

const found = (jobId: string): Reserved<StoredJob> => ({ jobId, row: undefined });

it('is not failed by candidates that could not be given back', async () => {
  let appended: (error: Error) => void = () => undefined;
  const released: (readonly string[])[] = [];
  const reservations = {
    reserve: () => Promise.resolve([found('taken'), found('left')]),
    release: (ids: readonly string[]) => {
      released.push(ids);
      return ids.includes('left') ? Promise.reject(new Error('the answer was lost')) : Promise.resolve();
    },
  };
  const pipeline = { submit: () => new Promise((_, reject) => (appended = reject)) };
  const claims = new Claims(
    ...([{}, {}, reservations, {}, {}, pipeline, 10] as unknown as ConstructorParameters<typeof Claims>),
  );
  const claim = claims.claim(request());
  const ended = claim.then(
    () => 'answered',
    (error: unknown) => (error as Error).message,
  );
  await new Promise(setImmediate);
  expect(released).toEqual([['left']]);
  expect(await Promise.race([ended, new Promise((resolve) => setImmediate(resolve, 'waits'))])).toBe('waits');
  // Its worker lost a lease: this one came since, or what it holds is lost for a lease.
  claims.endOf('w');
  expect(await Promise.race([ended, new Promise((resolve) => setImmediate(resolve, 'waits'))])).toBe('waits');
  appended(new Error('by its append'));
  expect(await ended).toBe('by its append');
});

/** The users of a log, and a ledger that does not answer. */
import { describe, expect, it } from '@jest/globals';
import { ReplayClock } from '../../src/cli/swf/replay-clock.js';
import { Submitter } from '../../src/cli/swf/submitter.js';
import type { CallOptions, JobledgerClient } from '../../src/client/client.js';

describe('what is to be cancelled', () => {
  it('is asked for no more once the replay is over', async () => {
    const asked: string[] = [];
    const cancel = (jobId: string, _: object, { signal }: CallOptions): Promise<never> => {
      asked.push(jobId);
      return new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(new Error('over')), { once: true });
      });
    };
    const over = new AbortController();
    const submitter = new Submitter([], {
      ...{ client: { cancel } as unknown as JobledgerClient, queue: 'q', leaseMs: 1_000, room: () => 1 },
      ...{ clock: new ReplayClock(0, null, () => 0), signal: over.signal },
    });
    for (let job = 0; job < 40; job += 1) submitter.cancelNow(`job-${job}`);
    expect(asked).toHaveLength(16);
    over.abort();
    await expect(submitter.run(new AbortController().signal)).rejects.toThrow('over');
    expect(asked).toHaveLength(16);
  });
});

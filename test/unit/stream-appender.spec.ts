/** How long an append is sent again while the log is away. */
import { describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { encodeRequest } from '../../src/event-store/encoded-request.js';
import { LogUnavailable } from '../../src/event-store/event-store.js';
import type { EventStoreDriver } from '../../src/event-store/eventstoredb/driver.js';
import { HeardLog } from '../../src/event-store/eventstoredb/heard-log.js';
import { StreamAppender } from '../../src/event-store/eventstoredb/stream-appender.js';

/** Long enough for a second try. */
const RETRY_MS = 100;

const setUp = () => {
  const log = { isAway: true, tries: 0 };
  const asked = <Answer>(answer: Answer): Promise<Answer> => {
    log.tries += 1;
    return log.isAway ? Promise.reject(new LogUnavailable('away')) : Promise.resolve(answer);
  };
  const driver = {
    append: () => asked({ ok: true, revision: 0, position: 1n }),
    readStream: () => asked([]),
  } as unknown as EventStoreDriver;
  const appender = new StreamAppender(driver, new HeardLog(), { retryForMs: RETRY_MS });
  const append = () => {
    const event = { ...{ id: randomUUID(), type: 'Happened', version: 1, data: {}, metadata: {} } };
    const request = encodeRequest({ stream: `job-${event.id}`, expected: 'noStream', events: [event] }, 0);
    if (request instanceof Error) throw request;
    return appender.append(request, 0);
  };
  return { log, append, appender };
};

describe('an append while the log is away', () => {
  it('is sent again for a while at first, and once by whoever comes when it has been away for that long', async () => {
    const { log, append } = setUp();
    await expect(append()).rejects.toThrow(LogUnavailable);
    expect(log.tries).toBeGreaterThan(1);
    log.tries = 0;
    await expect(append()).rejects.toThrow(LogUnavailable);
    expect(log.tries).toBe(1);
  });

  it('is sent again for a while once more after the log has answered', async () => {
    const { log, append, appender } = setUp();
    await expect(append()).rejects.toThrow(LogUnavailable);
    log.isAway = false;
    await appender.readTail('job-1');
    log.isAway = true;
    log.tries = 0;
    await expect(append()).rejects.toThrow(LogUnavailable);
    expect(log.tries).toBeGreaterThan(1);
  });
});

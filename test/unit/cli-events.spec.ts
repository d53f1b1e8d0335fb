/** What a row of a history tells people of an event. */
import { describe, expect, it } from '@jest/globals';
import type { LedgerEvent } from '../../src/client/client.js';
import { eventColumns } from '../../src/cli/commands/event-columns.js';

const cell = (title: string, event: Partial<LedgerEvent>): string => {
  const whole = { reason: null, data: {}, actor: { type: 'client', id: 'anonymous' }, keyId: null, ...event };
  return eventColumns(false)
    .find((column) => column.title === title)!
    .value(whole as LedgerEvent);
};

const evidence = {
  ...{ rule: 'stalled', ruleVersion: 1, thresholds: { stallMs: 1_800_000, timeoutMs: 21_600_000 }, revision: 4 },
  ...{ lastBeatAt: '2026-01-31T12:00:00.000Z', lastActivityAt: '2026-01-31T11:00:00.000Z', lastActivityPosition: '7' },
};
const SEEN = 'stalled, last call 2026-01-31 12:00:00.000, last work 2026-01-31 11:00:00.000, stallMs 30m, timeoutMs 6h';

describe('why', () => {
  it.each<[string, Partial<LedgerEvent>, string]>([
    ['LeaseExpired', { data: { workerId: 'w', lostLeases: 1, evidence } }, SEEN],
    [
      'JobTimedOut',
      { data: { rule: 'stalled', error: { code: 'JobTimeout', message: 'too long' }, evidence } },
      `JobTimeout too long ${SEEN}`,
    ],
    ['JobCancelled', { data: { reason: 'stale', forced: true, rule: 'stalled', evidence } }, `stale ${SEEN}`],
    ['JobCancelled', { reason: 'by Ann', data: { reason: 'by Ann', rule: null, evidence: null } }, 'by Ann'],
    ['PriorityChanged', { reason: 'urgent', data: { priority: 5 } }, 'urgent'],
    ['CommandRefused', { data: { command: 'complete', code: 'stale_lease', error: null } }, 'complete: stale_lease'],
    [
      'ProgressRecorded',
      { data: { processed: 5, failed: 1, skipped: 0, current: null, total: 10, stage: 'ocr', message: 'page 5' } },
      'stage ocr, processed 5, failed 1, total 10, page 5',
    ],
  ])('of %s', (type, event, why) => {
    expect(cell('WHY', { type, ...event })).toBe(why);
  });
});

describe('by', () => {
  it('names the key beside a worker, and not twice', () => {
    expect(cell('BY', { actor: { type: 'worker', id: 'w1' }, keyId: 'wes' })).toBe('worker w1 (key wes)');
    expect(cell('BY', { actor: { type: 'client', id: 'ann' }, keyId: 'ann' })).toBe('client ann');
    expect(cell('BY', { actor: { type: 'worker', id: 'w1' } })).toBe('worker w1');
  });
});

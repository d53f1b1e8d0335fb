/** What the rows beside the events of a unit are told of it. */
import { expect, it } from '@jest/globals';
import { encodeRequest } from '../../src/event-store/encoded-request.js';
import type { BesideTable } from '../../src/event-store/beside-table.js';
import { appendedRows } from '../../src/event-store/eventstoredb/ended-units.js';

const tableOf = (around: BesideTable['around']) => ({ name: 'rows', around }) as BesideTable;
const ids = Array.from({ length: 3 }, (_, n) => `00000000-0000-4000-8000-00000000000${n}`);

it('a row of its own request is not told what all the unit appended: of 1,000 that was 50 MB', () => {
  const requests = ids.map((id, ordinal) => {
    const event = { id, type: 'T', version: 1, data: {}, metadata: {} };
    const request = encodeRequest({ stream: `job-${id}`, expected: 'noStream', events: [event] }, ordinal);
    const row = (table: BesideTable) => ({ table, values: [], event: 0, watched: undefined });
    const rows = [row(tableOf({})), ...(ordinal === 0 ? [row(tableOf({ ofGroup: true }))] : [])];
    const appended = { positions: [`${ordinal + 5}`], revision: 0, at: '2026-01-01T00:00:00.000Z' };
    return { request, rows, appended };
  });
  const unit = { intent: undefined, requests } as unknown as Parameters<typeof appendedRows>[0];
  const all = JSON.stringify(ids.map((id) => [`job-${id}`, 0, 1]));
  expect(appendedRows(unit).map(({ parts }) => parts)).toEqual([null, all, null, null]);
});

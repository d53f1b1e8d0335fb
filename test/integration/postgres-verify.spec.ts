/** The owner of the database can change anything; the chain says where. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import type pg from 'pg';
import type { PostgresEventStore } from '../../src/event-store/postgres/postgres-event-store.js';
import type { VerifyOptions } from '../../src/event-store/postgres/verify-log.js';
import { newEvent, PostgresLog, request } from '../support/postgres-log.js';

describe('verifying the log', () => {
  let log: PostgresLog;
  let store: PostgresEventStore;
  let owner: pg.Client;

  beforeAll(async () => {
    log = await PostgresLog.create();
    store = log.store();
    owner = await log.session();
    // Batches of 1, 2, … 9 events: positions 1 | 2 3 | 4 5 6 | 7 … 10 | 11 … 15 | …
    for (let size = 1; size <= 9; size += 1) {
      const batch = Array.from({ length: size }, (_, n) =>
        request(`job-${n % 3}`, 'any', [newEvent('Happened', { text: `é ${size}.${n}` })]),
      );
      await store.append(batch);
    }
    await owner.query(`
      alter table jobledger.events disable trigger append_only;
      alter table jobledger.events_0000 disable trigger append_only;
      alter table jobledger.batches disable trigger append_only;`);
  });
  afterAll(() => log.close());

  /** What is found after the change; the change itself is undone. */
  const verdictAfter = (...changes: string[]) => verdictWith(null, ...changes);
  const verdictWith = (kept: VerifyOptions['kept'], ...changes: string[]) => foundAfter({ kept }, ...changes);
  const foundAfter = async (options: VerifyOptions, ...changes: string[]) => {
    await owner.query('create schema kept');
    await owner.query('create table kept.events as table jobledger.events');
    await owner.query('create table kept.batches as table jobledger.batches');
    try {
      for (const change of changes) await owner.query(change);
      return await store.verify(options);
    } finally {
      await owner.query(`
        delete from jobledger.events; insert into jobledger.events table kept.events;
        delete from jobledger.batches; insert into jobledger.batches table kept.batches;
        drop schema kept cascade;`);
    }
  };

  const changeEvent = (set: string, position = 13) => `update jobledger.events set ${set} where position = ${position}`;
  const changeBatch = (set: string, batch = 5) => `update jobledger.batches set ${set} where batch = ${batch}`;

  beforeEach(async () => expect(await store.verify()).toMatchObject({ ok: true }));

  it('that is as it was written agrees with its head', async () => {
    const { position, hash } = await store.head();
    expect(position).toBe('45');
    expect(await store.verify()).toEqual({ ok: true, firstBad: null, position, hash });
  });

  it('is computed by the statement of the documentation too, which finds what was changed', async () => {
    const text = readFileSync(new URL('../../docs/architecture.md', import.meta.url), 'utf8');
    const [, statement = ''] = /<!-- hash chain: start -->\s+```sql\n(.+?)```/s.exec(text) ?? [];
    const found = async (): Promise<unknown> =>
      (await owner.query<{ what: string; place: string }>(statement)).rows.map(({ what, place }) => `${what} ${place}`);
    expect(await found()).toEqual([]);
    await owner.query('begin');
    await owner.query(changeEvent(`data = overlay(data placing 'T' from 3)`));
    await owner.query(changeBatch(`at = at + interval '1 ms'`, 7));
    await owner.query(changeTimes(22, 28));
    expect(await found()).toEqual(['batch 7', 'event 13']);
    await owner.query('rollback');
    const times = async (...changes: readonly string[]): Promise<unknown> => {
      await owner.query('begin');
      for (const change of changes) await owner.query(change);
      const places = await found();
      await owner.query('rollback');
      return places;
    };
    expect(await times(changeEvent(`at = at + interval '1 ms'`))).toEqual(['event 13']);
    expect(await times(changeEvent(`at = at + interval '1 us'`))).toEqual(['event 13']);
    const inBatch5 = [11, 12, 13, 14, 15].map((position) => `event ${position}`);
    expect(await times(changeBatch(`at = at + interval '1 us'`))).toEqual(['batch 5', ...inBatch5]);
    expect(await times(changeBatch(`at = at + interval '1 us'`), changeTimes(11, 15, '1 us'))).toEqual(['batch 5']);
    expect(await times(changeEvent('position = 46', 45), 'delete from jobledger.batches where batch = 9')).toEqual(
      expect.arrayContaining(['event 46']),
    );
  });

  it.each<[string, string, string[]]>([
    ['one flipped byte of data', '13', [changeEvent(`data = overlay(data placing 'T' from 3)`)]],
    ['changed metadata', '13', [changeEvent(`metadata = '{"a":1}'`)]],
    ['a changed type', '13', [changeEvent(`type = 'Other'`)]],
    ['a changed version', '13', [changeEvent('version = 2')]],
    ['a changed id', '13', [changeEvent('id = gen_random_uuid()')]],
    ['an event moved to another stream', '13', [changeEvent(`stream = 'job-9'`)]],
    ['an event moved to another revision', '13', [changeEvent('revision = revision + 100')]],
    ['an event moved to another time', '13', [changeEvent(`at = at + interval '1 ms'`)]],
    ['an event moved in time by less than is shown', '13', [changeEvent(`at = at + interval '1 us'`)]],
    [
      'two events of a batch that changed places',
      '12',
      [changeEvent('position = 1000', 12), changeEvent('position = 12', 13), changeEvent('position = 13', 1000)],
    ],
    ['a missing event', '13', ['delete from jobledger.events where position = 13']],
    ['a missing last event of the log', '45', ['delete from jobledger.events where position = 45']],
    [
      'events after the last batch',
      '37',
      [changeEvent('position = 46', 45), 'delete from jobledger.batches where batch = 9'],
    ],
    ['an event with another leaf', '13', [changeEvent(`leaf = sha256('')`)]],
    ['content and leaf changed together', '11', [changeEvent(`data = '{}'`), leafOf(13)]],
    ['a changed time of a batch and its events', '11', [changeBatch(`at = at + interval '1 ms'`), changeTimes(11, 15)]],
    ['a batch moved in time by less than is shown', '11', [changeBatch(`at = at + interval '1 us'`)]],
    [
      'a batch and its events moved in time by less than is shown',
      '11',
      [changeBatch(`at = at + interval '1 us'`), changeTimes(11, 15, '1 us')],
    ],
    ['a changed hash', '11', [changeBatch(`hash = sha256('')`)]],
    [
      'batches joined into one',
      '7',
      ['delete from jobledger.batches where batch = 5', changeBatch('last_position = 15', 4), timesOfBatch4(11, 15)],
    ],
    ['a missing batch', '11', ['delete from jobledger.batches where batch = 5']],
    [
      'a batch removed with its events',
      '11',
      [
        'delete from jobledger.batches where batch = 5',
        'delete from jobledger.events where position between 11 and 15',
        // In two steps: no two may be the same meanwhile, in whatever order rows are found.
        'update jobledger.batches set batch = -batch where batch > 5',
        'update jobledger.batches set batch = -batch - 1 where batch < 0',
      ],
    ],
  ])('finds %s at %s', async (_, firstBad, changes) => {
    expect(await verdictAfter(...changes)).toMatchObject({ ok: false, firstBad, reason: expect.any(String) });
  });

  it('does not find a tail that was cut off whole: the head that was kept elsewhere does', async () => {
    const { position, hash } = await store.head();
    const verdict = await verdictAfter(
      'delete from jobledger.batches where batch = 9',
      'delete from jobledger.events where position > 36',
    );
    expect(verdict).toMatchObject({ ok: true, position: '36' });
    expect(verdict).not.toMatchObject({ position, hash });
  });

  describe('against a head that was kept elsewhere', () => {
    it('is right when it is', async () => {
      const { position, hash } = await store.head();
      expect(await verdictWith({ position, hash })).toMatchObject({ ok: true });
      const earlier = { position: '10', hash: (await store.hashAt('10'))! };
      expect(await verdictWith(earlier)).toMatchObject({ ok: true });
      const empty = { position: '0', hash: (await store.hashAt('0'))! };
      expect(await verdictWith(empty)).toMatchObject({ ok: true });
    });

    it('finds a tail that was cut off whole, at the first position that is missing', async () => {
      const { position, hash } = await store.head();
      const cut = ['delete from jobledger.batches where batch = 9', 'delete from jobledger.events where position > 36'];
      expect(await verdictWith({ position, hash }, ...cut)).toMatchObject({ ok: false, firstBad: '37' });
    });

    it('finds a tail that was written anew with its whole chain', async () => {
      const { position, hash } = await store.head();
      const forged = [changeEvent(`data = '{}'`), leafOf(13), ...[5, 6, 7, 8, 9].map(hashOf)];
      expect(await verdictAfter(...forged)).toMatchObject({ ok: true });
      const verdict = await verdictWith({ position, hash }, ...forged);
      expect(verdict).toMatchObject({ ok: false, firstBad: position, reason: expect.stringContaining('anew') });
      // A head from before the forgery says nothing against it.
      const earlier = { position: '10', hash: (await store.hashAt('10'))! };
      expect(await verdictWith(earlier, ...forged)).toMatchObject({ ok: true });
    });

    it('finds batches that were joined over it', async () => {
      const inTheMiddle = { position: '12', hash: '0'.repeat(64) };
      expect(await verdictWith(inTheMiddle)).toMatchObject({ ok: false, firstBad: '12' });
    });
  });

  it('reads in pages and says how far it is', async () => {
    await store.append([
      request(
        'large',
        'any',
        Array.from({ length: 6_000 }, () => newEvent()),
      ),
    ]);
    for (let n = 0; n < 205; n += 1) await store.append([request('small')]);
    const { position, hash } = await store.head();
    const progress: string[] = [];
    expect(await store.verify({ onProgress: (at, head) => void progress.push(`${at}/${head}`) })).toEqual({
      ok: true,
      firstBad: null,
      position,
      hash,
    });
    expect(progress).toEqual(['45/6250', '6045/6250', '6245/6250', '6250/6250']);
  });

  it('says of a log that is not right up to where it is', async () => {
    const progress: string[] = [];
    await foundAfter({ onProgress: (at) => void progress.push(at) }, changeEvent(`data = '{}'`));
    expect(progress.at(-1)).toBe('10');
  });

  it('stops by its signal', async () => {
    const stop = new AbortController();
    const verifying = store.verify({ signal: stop.signal, onProgress: () => stop.abort(new Error('enough')) });
    await expect(verifying).rejects.toThrow('enough');
  });
});

/** Makes the leaf that of the content, as a thorough forger would. */
function leafOf(position: number): string {
  const text = (column: string) =>
    `int4send(octet_length(convert_to(${column}, 'UTF8'))) || convert_to(${column}, 'UTF8')`;
  const content = `sha256('\\x00'::bytea || ${text('stream')} || uuid_send(id) || ${text('type')}
    || int4send(version) || ${text('data')} || ${text('metadata')})`;
  return `update jobledger.events
    set leaf = sha256('\\x01'::bytea || int8send(position) || int4send(revision) || ${content})
    where position = ${position}`;
}

/** The hash of a batch as it would be had its events always been these. */
function hashOf(batch: number): string {
  return `update jobledger.batches b set hash = sha256('\\x02'::bytea
      || (select hash from jobledger.batches p where p.batch = b.batch - 1) || int8send(b.batch)
      || int8send((extract(epoch from b.at) * 1000)::bigint) || int8send(b.first_position)
      || (select string_agg(leaf, ''::bytea order by position) from jobledger.events
          where position between b.first_position and b.last_position))
    where batch = ${batch}`;
}

function timesOfBatch4(first: number, last: number): string {
  return `update jobledger.events set at = (select at from jobledger.batches where batch = 4)
    where position between ${first} and ${last}`;
}

function changeTimes(first: number, last: number, by = '1 ms'): string {
  return `update jobledger.events set at = at + interval '${by}' where position between ${first} and ${last}`;
}

/**
 * The append of the PostgreSQL log: calls `jobledger.append` with everything that may still be written, settles what
 * the answer settles, and calls again with the rest until nothing is left.
 *
 * Usually that is one call. A call that meets another writer's event, or a refusal of a beside table, writes nothing;
 * each one settles at least one request or puts one off behind those that are written, so the calls come to an end.
 */
import pg from 'pg';
import { ROW_WAIT_MS, type BesideTable } from '../beside-table.js';
import type { AppendRequest, AppendResult, Appended } from '../event-store.js';
import type { Unit } from '../append-plan.js';
import { expectedBase, Outcomes, plan, settleMissed, unitsOf, withoutRefused } from '../append-plan.js';
import type { EncodedRequest } from '../encoded-request.js';
import { AppendStatements, streamOffsets, type Keys } from './append-statement.js';
import { asText, execute, isLockTimeout } from './connection.js';
import { binaryArray } from './binary-array.js';
import { PipelinedConnection } from './pipelined-connection.js';
import { RowLocks, withoutLocked } from './row-locks.js';
import { rfc3339 } from './timestamps.js';
import { WakeUps } from './wake-ups.js';

/** SQLSTATE by which a beside table refuses rows. */
const BESIDE_REFUSED = 'JL001';
/** SQLSTATE `datatype_mismatch`: an oid is not that of the type; so it is after the database was restored from a dump. */
const OTHER_OIDS = '42804';
/** SQLSTATE `unique_violation`: a key of a beside table is taken. */
const KEY_TAKEN = '23505';

type Answer =
  | { readonly kind: 'written'; readonly base: bigint; readonly at: string; readonly revisions: readonly number[] }
  | { readonly kind: 'missed'; readonly revisions: readonly number[] }
  | { readonly kind: 'refused'; readonly table: string; readonly requests: readonly number[] }
  | { readonly kind: 'locked'; readonly requests: ReadonlySet<EncodedRequest> };

export class Appender {
  readonly #pool: pg.Pool;
  readonly #statements: AppendStatements;
  readonly #connection: PipelinedConnection;
  readonly #wakeUps: WakeUps;
  readonly #rowLocks: RowLocks;
  #oids: Promise<ReadonlyMap<string, number>> | undefined;

  /** @param hasListeners whether another process listens for appends now */
  constructor(pool: pg.Pool, besideTables: readonly BesideTable[], hasListeners: () => Promise<boolean>) {
    this.#pool = pool;
    this.#statements = new AppendStatements(besideTables);
    this.#connection = new PipelinedConnection(pool.options);
    this.#rowLocks = new RowLocks(this.#connection, besideTables);
    this.#wakeUps = new WakeUps(this.#connection, hasListeners);
  }

  /** Server process that appends, and so notifies. */
  get pid(): number | undefined {
    return this.#connection.pid;
  }

  async close(): Promise<void> {
    this.#wakeUps.close();
    await this.#connection.close();
  }

  async append(requests: readonly AppendRequest[]): Promise<AppendResult[]> {
    const outcomes = new Outcomes(requests.length);
    let waiting: readonly Unit[] = unitsOf(requests, outcomes);
    let later: readonly Unit[] = [];
    while (waiting.length > 0) {
      const flat = waiting.flat();
      const answer = await this.#callPastLocks(flat);
      if (answer.kind === 'written') {
        settleWritten(flat, answer, outcomes);
        waiting = later;
        later = [];
      } else if (answer.kind === 'refused') {
        const refused = new Set(answer.requests.map((index) => flat[index]!.ordinal));
        waiting = withoutRefused(waiting, refused, answer.table, outcomes);
      } else if (answer.kind === 'locked') {
        waiting = withoutLocked(waiting, answer.requests, outcomes);
      } else {
        const revisions = new Map(flat.map(({ stream }, index) => [stream, answer.revisions[index]!]));
        const { ready, missed, deferred } = plan(waiting, (stream) => revisions.get(stream)!);
        const replays = await this.#replays(missed.flatMap(({ misses }) => misses.map(({ request }) => request)));
        const rest = settleMissed(missed, (request) => replays.get(request), outcomes);
        waiting = [...ready, ...rest];
        later = [...deferred, ...later];
      }
      if (waiting.length === 0) [waiting, later] = [later, []];
    }
    return outcomes.all();
  }

  /** Finds out which rows are locked rather than wait for them: whoever waits keeps all others waiting. */
  async #callPastLocks(requests: readonly EncodedRequest[]): Promise<Answer> {
    if (this.#rowLocks.areKnown(requests)) {
      const locked = await this.#rowLocks.among(requests);
      if (locked.size > 0) return { kind: 'locked', requests: locked };
    }
    try {
      return await this.#call(requests, ROW_WAIT_MS);
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      const locked = await this.#rowLocks.among(requests);
      // None: they are free again, or somebody holds a whole table, which concerns everybody.
      return locked.size > 0 ? { kind: 'locked', requests: locked } : this.#call(requests, 0);
    }
  }

  async #call(
    requests: readonly EncodedRequest[],
    rowWaitMs: number,
    keys: Keys = 'new',
    isAgain = false,
  ): Promise<Answer> {
    const oids = await (this.#oids ??= this.#readOids());
    const notify = this.#wakeUps.take();
    const statement = this.#statements.compose(requests, streamOffsets(requests), oids, notify, keys, rowWaitMs);
    try {
      const [row] = await this.#connection.execute('appending', statement);
      const [accepted, base, at, list] = row!;
      const revisions = list!.slice(1, -1).split(',').map(Number);
      if (accepted !== 't') {
        if (notify) this.#wakeUps.tellLater();
        return { kind: 'missed', revisions };
      }
      return { kind: 'written', base: BigInt(base!), at: rfc3339(at!), revisions };
    } catch (error) {
      if (notify) this.#wakeUps.tellLater();
      if (!(error instanceof pg.DatabaseError)) throw error;
      if (error.code === OTHER_OIDS && !isAgain) {
        this.#oids = undefined;
        return this.#call(requests, rowWaitMs, keys, true);
      }
      if (error.code === KEY_TAKEN && keys === 'new') return this.#call(requests, rowWaitMs, 'taken', isAgain);
      if (error.code !== BESIDE_REFUSED) throw error;
      return { kind: 'refused', table: error.message, requests: refusedRequests(error, requests.length) };
    }
  }

  /** The oids of the composite types that rows are sent as. */
  #readOids(): Promise<ReadonlyMap<string, number>> {
    const { types } = this.#statements;
    const oids = execute(this.#pool, 'reading the types of the log', {
      text: 'select t.name, t.name::regtype::oid from unnest($1::text[]) as t(name)',
      values: [types],
      rowMode: 'array',
      types: asText,
    }).then((rows) => new Map(rows.map(([name, oid]) => [name!, Number(oid)])));
    oids.catch(() => (this.#oids = undefined));
    return oids;
  }

  /** The requests whose event ids stand in the log right after the revision that they expect. */
  async #replays(requests: readonly EncodedRequest[]): Promise<ReadonlyMap<EncodedRequest, Appended>> {
    const asked = requests.filter(({ expected }) => expectedBase(expected) !== undefined);
    if (asked.length === 0) return new Map();
    const rows = await execute(this.#pool, 'looking for events appended before', {
      name: 'replays',
      text: REPLAYS,
      values: [
        binaryArray(
          'text',
          asked.map(({ stream }) => stream),
        ),
        binaryArray(
          'int4',
          asked.map(({ expected }) => expectedBase(expected)!),
        ),
        binaryArray(
          'int4',
          asked.map(({ events }) => events.length),
        ),
      ],
      rowMode: 'array',
      types: asText,
    });
    const found = asked.map((): { id: string; position: string; revision: number; at: string }[] => []);
    for (const [index, id, position, revision, at] of rows) {
      found[Number(index) - 1]!.push({ id: id!, position: position!, revision: Number(revision), at: rfc3339(at!) });
    }
    const replays = new Map<EncodedRequest, Appended>();
    asked.forEach((request, index) => {
      const there = found[index]!;
      if (!request.events.every(({ id }, place) => there[place]?.id === id)) return;
      const positions = there.map(({ position }) => position);
      const { revision, at, position: last } = there.at(-1)!;
      replays.set(request, { ok: true, first: positions[0]!, last, positions, revision, at, replayed: true });
    });
    return replays;
  }
}

const REPLAYS = `
  select r.n, e.id, e.position, e.revision, e.at
  from unnest($1::text[], $2::int[], $3::int[]) with ordinality as r(stream, base, length, n)
  cross join lateral (
    select e.id, e.position, e.revision, e.at from jobledger.events e
    where e.stream = r.stream and e.revision > r.base and e.revision <= r.base + r.length
    order by e.revision
  ) e
  order by r.n, e.revision`;

const settleWritten = (
  requests: readonly EncodedRequest[],
  { base, at, revisions }: Answer & { kind: 'written' },
  outcomes: Outcomes,
): void => {
  const offsets = streamOffsets(requests);
  let before = base;
  requests.forEach(({ ordinal, events }, index) => {
    const positions = events.map((_, place) => String(before + BigInt(place + 1)));
    before += BigInt(events.length);
    const revision = revisions[index]! + offsets[index]! + events.length;
    const last = positions.at(-1)!;
    outcomes.settle(ordinal, { ok: true, first: positions[0]!, last, positions, revision, at, replayed: false });
  });
};

/** @throws Error when the function does not say whom it refused: asking again would never end */
export const refusedRequests = (error: pg.DatabaseError, length: number): readonly number[] => {
  const listed: unknown = JSON.parse(error.detail ?? '[]');
  const isOrdinal = (value: unknown): value is number => Number.isInteger(value) && Number(value) < length;
  if (!Array.isArray(listed) || listed.length === 0 || !listed.every(isOrdinal)) {
    throw new Error(`beside table ${error.message} refused without saying which requests`, { cause: error });
  }
  return listed;
};

/**
 * How far a projection is, and who moves it on: one row a projection.
 *
 * A checkpoint is moved by compare-and-swap in the transaction that writes the projection's tables. That alone makes
 * two leaders harmless: of two that apply the same page the second finds the position moved, and writes nothing.
 *
 * The lead is a lease in the row, not a session lock: the session of a process that is stopped (SIGSTOP, a paused
 * virtual machine) lives on and would hold its lock for ever. A lease runs out. It is renewed by progress alone: an
 * idle leader costs no statement, and nobody else wants the lead while there is nothing to do.
 */
import type { Pool } from 'pg';
import { START, type EventStore, type Page, type Position } from '../event-store/event-store.js';
import type { Projection } from './projection.js';
import type { Tx } from './transaction.js';

export interface Checkpoint {
  readonly position: Position;
  /** Of the log at the position; null at the start. */
  readonly hash: string | null;
  /** Recorded time of the last event that was applied, RFC 3339; null when there was none. */
  readonly at: string | null;
}

/** A checkpoint with what else its row says. */
export interface CheckpointRow extends Checkpoint {
  readonly name: string;
  readonly version: number;
  /** The instance that leads, or led last. */
  readonly leader: string | null;
  /** How long it still leads, ms; 0 or less: not any more. */
  readonly leadsForMs: number;
  readonly lastError: string | null;
}

/** The log at the checkpoint is not the one that was applied: restored from a backup, or its tail was lost. */
export class LogDiverged extends Error {
  constructor(name: string, position: Position) {
    super(
      `projection ${name} was made from another log (position ${position} has another hash, or is beyond the end), as ` +
        `after a restored backup: rebuild it, POST /v1/admin/projections/${name}/rebuild`,
    );
  }
}

/** The stored rows were made by another version of the projection. */
export class VersionMismatch extends Error {
  constructor(name: string, stored: number, version: number) {
    super(
      `projection ${name} is stored in version ${stored}, this program has ${version}: rebuild it, ` +
        `POST /v1/admin/projections/${name}/rebuild`,
    );
  }
}

interface Row {
  name: string;
  version: number;
  position: string;
  hash: string | null;
  at: Date | null;
  leader: string | null;
  leads_for_ms: number | null;
  last_error: string | null;
}

/** Thrown where a projection has tables and no checkpoint: nobody knows where in the log it stands. */
export class CheckpointLost extends Error {
  constructor(name: string) {
    super(`the checkpoint of ${name} was deleted: rebuild it (POST /v1/admin/projections/${name}/rebuild)`);
  }
}

const COLUMNS = `name, version, position::text, hash, at, leader, last_error,
  (extract(epoch from leads_until - clock_timestamp()) * 1000)::float8 as leads_for_ms`;

const toRow = (row: Row): CheckpointRow => ({
  name: row.name,
  version: row.version,
  position: row.position,
  hash: row.hash,
  at: row.at?.toISOString() ?? null,
  leader: row.leader,
  leadsForMs: row.leads_for_ms ?? 0,
  lastError: row.last_error,
});

export class Checkpoints {
  constructor(
    private readonly pool: Pool,
    /** Of this process. */
    readonly instanceId: string,
  ) {}

  /** Makes the row of a projection that never ran. Where its tables hold something it did: its events would count twice. */
  async ensure({ name, version, tables }: Projection): Promise<void> {
    if ((await this.read([name])).length > 0) return;
    for (const table of tables) if (await this.holdsRows(table.name)) return;
    await this.pool.query(
      'insert into jobledger.projections (name, version) values ($1, $2) on conflict (name) do nothing',
      [name, version],
    );
  }

  /** A table that is missing holds none: whoever applies events finds that, and says so. */
  private async holdsRows(table: string): Promise<boolean> {
    const { rows } = await this.pool.query<{ known: string | null }>('select to_regclass($1) as known', [
      `jobledger.${table}`,
    ]);
    if (rows[0]?.known == null) return false;
    return (await this.pool.query(`select from jobledger.${table} limit 1`)).rowCount !== 0;
  }

  async read(names: readonly string[]): Promise<readonly CheckpointRow[]> {
    const { rows } = await this.pool.query<Row>({
      name: 'checkpoints-read',
      text: `select ${COLUMNS} from jobledger.projections where name = any ($1::text[])`,
      values: [names],
    });
    return rows.map(toRow);
  }

  /** Takes or renews the lead; undefined while another instance has it. */
  async lead(name: string, leadMs: number): Promise<CheckpointRow | undefined> {
    const { rows } = await this.pool.query<Row>({
      name: 'checkpoints-lead',
      text: `update jobledger.projections
        set leader = $2, leads_until = clock_timestamp() + $3::int * interval '1 ms'
        where name = $1 and (leader is null or leader = $2 or leads_until <= clock_timestamp())
        returning ${COLUMNS}`,
      values: [name, this.instanceId, leadMs],
    });
    return rows[0] && toRow(rows[0]);
  }

  /** Lets another instance lead at once. */
  async resign(name: string): Promise<void> {
    await this.pool.query(
      'update jobledger.projections set leader = null, leads_until = null where name = $1 and leader = $2',
      [name, this.instanceId],
    );
  }

  /** Shows why the projection stands still; null when it no longer does. Only its leader says so. */
  async note(name: string, error: string | null): Promise<void> {
    await this.pool.query(
      `update jobledger.projections set last_error = $3
        where name = $1 and last_error is distinct from $3 and (leader is null or leader = $2 or leads_until <= clock_timestamp())`,
      [name, this.instanceId, error],
    );
  }

  /**
   * Moves the checkpoint and renews the lead of who has it. The row stays locked until the transaction ends.
   * @returns which of the streams are parked; undefined when the checkpoint is not where it was expected.
   */
  async advance(
    tx: Tx,
    { name, version }: Projection,
    step: { readonly from: Position; readonly to: Checkpoint; readonly leadMs: number },
    streams: readonly string[],
  ): Promise<readonly string[] | undefined> {
    const { from, to, leadMs } = step;
    const rows = await tx.query<{ parked: string[] }>({
      name: 'checkpoints-advance',
      text: `update jobledger.projections
        set position = $4, hash = $5, at = $6, last_error = null,
          leader = case when leads_until > clock_timestamp() then leader else $7 end,
          leads_until = case when leads_until > clock_timestamp() and leader <> $7 then leads_until
            else clock_timestamp() + $8::int * interval '1 ms' end
        where name = $1 and version = $2 and position = $3
        returning array(
          select stream from jobledger.parked where projection = $1 and stream = any ($9::text[])
        ) as parked`,
      values: [name, version, from, to.position, to.hash, to.at, this.instanceId, leadMs, streams],
    });
    return rows[0]?.parked;
  }
}

/** @throws LogDiverged */
export const verifyCheckpoint = async (store: EventStore, name: string, checkpoint: Checkpoint): Promise<void> => {
  if (checkpoint.position === START) return;
  const hash = await store.hashAt(checkpoint.position);
  if (hash === null || hash !== checkpoint.hash) throw new LogDiverged(name, checkpoint.position);
};

/** The checkpoint after a page that was read from the one before. */
export const checkpointAt = async (store: EventStore, page: Page, from: Checkpoint): Promise<Checkpoint> => ({
  position: page.next,
  hash: await store.hashAt(page.next),
  at: page.events.at(-1)?.at ?? from.at,
});

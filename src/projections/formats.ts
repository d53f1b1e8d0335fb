/**
 * Which formats of the log the processes of this installation write. Each says so before its first event, so one that
 * meets what it cannot read can tell whether a newer jobledger wrote it, or somebody has to look.
 */
import type { Pool } from 'pg';
import { FORMAT } from '../domain/upcast.js';
import type { Tx } from './transaction.js';

/** The newest format that was declared, in SQL; the same for every row of a statement. */
export const NEWEST_FORMAT = '(select max(format) from jobledger.formats)';

const NEWEST = { name: 'formats-newest', text: `select ${NEWEST_FORMAT} as format` };

interface Newest {
  readonly format: number | null;
}

/** Whether a newer program has written here, or is about to. */
export const isNewer = ({ format }: Newest): boolean => (format ?? 0) > FORMAT;

/** Whether this program is older than one that has written what a transaction sees. */
export const isOutdatedIn = async (tx: Tx): Promise<boolean> => (await tx.query<Newest>(NEWEST)).some(isNewer);

export class Formats {
  constructor(private readonly pool: Pool) {}

  /** Says that events of this program's format may be in the log from now on. */
  async declare(): Promise<void> {
    await this.pool.query('insert into jobledger.formats (format) values ($1) on conflict do nothing', [FORMAT]);
  }

  /** Whether a newer program has written here, or is about to. */
  async isOutdated(): Promise<boolean> {
    return (await this.pool.query<Newest>(NEWEST)).rows.some(isNewer);
  }
}

/**
 * What was found in files, added up. Sums of parts in any order and grouping are the sum of the whole, so jobs, their
 * checkpoints, and a walk that knows nothing of jobs can be compared.
 */
import { createHash } from 'node:crypto';

export interface Tally {
  /** Regular files that were read whole. */
  readonly files: number;
  /** Of those files, as read. */
  readonly bytes: number;
  /** Files and folders that could not be read. */
  readonly unreadable: number;
  /** Symbolic links (not followed), and what is neither file nor folder. */
  readonly skipped: number;
  /**
   * Sum modulo 2^256 of a SHA-256 for each entry, in hex. Equal sums mean equal trees, but for somebody who looks for a
   * collision: it finds mistakes, not forgers. A running SHA-256 could not be saved in a checkpoint.
   */
  readonly digest: string;
}

const MODULUS = 1n << 256n;
const hex = (sum: bigint): string => (sum % MODULUS).toString(16).padStart(64, '0');

export const EMPTY_TALLY: Tally = { files: 0, bytes: 0, unreadable: 0, skipped: 0, digest: hex(0n) };

export const addTallies = (one: Tally, other: Tally): Tally => ({
  files: one.files + other.files,
  bytes: one.bytes + other.bytes,
  unreadable: one.unreadable + other.unreadable,
  skipped: one.skipped + other.skipped,
  digest: hex(BigInt(`0x${one.digest}`) + BigInt(`0x${other.digest}`)),
});

/** Names hold no NUL, so no two entries have the same text. */
const digestOf = (...parts: string[]): string => createHash('sha256').update(parts.join('\0')).digest('hex');

/** @param path from the catalogued folder, with `/`. @param sha256 of the content, in hex. */
export const fileTally = (path: string, bytes: number, sha256: string): Tally => ({
  ...EMPTY_TALLY,
  files: 1,
  bytes,
  digest: digestOf('file', path, `${bytes}`, sha256),
});

export const unreadableTally = (path: string): Tally => ({
  ...EMPTY_TALLY,
  unreadable: 1,
  digest: digestOf('unreadable', path),
});

export const skippedTally = (path: string): Tally => ({
  ...EMPTY_TALLY,
  skipped: 1,
  digest: digestOf('skipped', path),
});

/**
 * Keys are made, listed and taken away in their file. It is replaced as a whole, so that whoever reads it sees the old
 * one or the new one; a lock file beside it keeps two editors apart. What people wrote in it, comments too, stays.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { isSeq, parseDocument } from 'yaml';
import { type ApiKey, hashOf, KeyFileError, parseKeys, readText } from './key-file.js';
import type { Role } from './roles.js';

/** 256 bits: nobody guesses them. */
const SECRET_BYTES = 32;
/** So that a key is known for what it is where it does not belong. */
const SECRET_PREFIX = 'jobledger_';
/** Of a new file: digests are no secrets, and nobody's business. */
const OWNER_ONLY = 0o600;

export interface CreatedKey {
  readonly id: string;
  readonly roles: readonly Role[];
  /** The key itself: it is nowhere else, so it is shown now or never. */
  readonly secret: string;
}

interface Place {
  readonly path: string;
  /** Null: the file is not there. */
  readonly owned: { readonly mode: number; readonly uid: number; readonly gid: number } | null;
}

const reasonOf = (error: unknown): string => (error as Error).message;
const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/** Where the file is, links followed: replacing a link would leave what it names as it was. */
const placeOf = (path: string): Place => {
  try {
    const real = realpathSync(path);
    const { mode, uid, gid } = statSync(real);
    return { path: real, owned: { mode: mode & 0o777, uid, gid } };
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return { path, owned: null };
    throw new KeyFileError(`${path}: cannot be read: ${reasonOf(cause)}`, { cause });
  }
};

/** The next version of the file, and the lock: whoever has made it is alone. */
const openNext = (path: string): number => {
  try {
    return openSync(path, 'wx', OWNER_ONLY);
  } catch (cause) {
    throw new KeyFileError(
      codeOf(cause) === 'EEXIST'
        ? `${path}: somebody is changing the keys; if nobody is, remove this file`
        : `${path}: cannot be written: ${reasonOf(cause)}`,
      { cause },
    );
  }
};

/** Readable by whoever could read the file before: else a service that runs as somebody else would lose its keys. */
const keepOwner = (file: number, { path, owned }: Place): void => {
  if (owned === null) return;
  try {
    fchownSync(file, owned.uid, owned.gid);
    fchmodSync(file, owned.mode);
  } catch (cause) {
    throw new KeyFileError(`${path}: belongs to somebody else; change it as that user`, { cause });
  }
};

/** The new name is on disk when its folder is. */
const syncFolder = (folder: string): void => {
  try {
    const handle = openSync(folder, 'r');
    fsyncSync(handle);
    closeSync(handle);
  } catch {
    // Windows opens no folders; the file itself is on disk.
  }
};

/** @throws KeyFileError when another editor is at work, or left its lock behind. */
const replace = (path: string, edit: (text: string) => string): void => {
  const place = placeOf(path);
  const next = `${place.path}.lock`;
  const file = openNext(next);
  try {
    try {
      const text = edit(place.owned === null ? '' : readText(place.path));
      keepOwner(file, place);
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(next, place.path);
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  }
  syncFolder(dirname(place.path));
};

/** A file that somebody began as JSON stays JSON. */
const asJson = (text: string): { readonly keys: readonly ApiKey[] } | undefined => {
  try {
    return JSON.parse(text) as { keys: readonly ApiKey[] };
  } catch {
    return undefined;
  }
};

const toJson = (keys: readonly ApiKey[]): string => `${JSON.stringify({ keys }, null, 2)}\n`;

const withKey = (text: string, key: ApiKey): string => {
  const json = asJson(text);
  if (json !== undefined) return toJson([...json.keys, key]);
  const document = parseDocument(text);
  const keys = document.get('keys');
  if (isSeq(keys)) keys.add(document.createNode(key));
  else document.set('keys', document.createNode([key]));
  return document.toString();
};

const withoutKey = (text: string, index: number): string => {
  const json = asJson(text);
  if (json !== undefined) return toJson(json.keys.toSpliced(index, 1));
  const document = parseDocument(text);
  document.deleteIn(['keys', index]);
  return document.toString();
};

/** Nothing but blanks and comments: a file that is about to get its first key. */
const isBlank = (text: string): boolean => parseDocument(text).contents === null;

/**
 * Makes a key and writes its hash into the file, which is made when it is not there.
 * @returns the key itself, which is kept nowhere.
 * @throws KeyFileError when there is a key of this id, when id or roles are none, or the file cannot be used.
 */
export const createKey = (
  path: string,
  { id, roles }: { readonly id: string; readonly roles: readonly Role[] },
): CreatedKey => {
  const secret = `${SECRET_PREFIX}${randomBytes(SECRET_BYTES).toString('base64url')}`;
  const key: ApiKey = { id, hash: hashOf(secret), roles: [...new Set(roles)] };
  parseKeys(JSON.stringify({ keys: [key] }), 'the new key');
  replace(path, (text) => {
    const known = isBlank(text) ? [] : parseKeys(text, path);
    if (known.some((each) => each.id === id))
      throw new KeyFileError(`${path}: there is a key ${id}: revoke it first, or choose another id`);
    const next = withKey(text, key);
    // One key too many is refused here, and by every service.
    parseKeys(next, path);
    return next;
  });
  return { id, roles: key.roles, secret };
};

/** Ids and roles, in the order of the file. @throws KeyFileError */
export const listKeys = (path: string): readonly Omit<ApiKey, 'hash'>[] =>
  parseKeys(readText(path), path).map(({ id, roles }) => ({ id, roles }));

/**
 * Takes a key out of the file: services that read it refuse the key from their next request on.
 * @returns how many keys are left. With none nobody gets in, and no service starts.
 * @throws KeyFileError when there is no key of this id, or the file cannot be used.
 */
export const revokeKey = (path: string, id: string): number => {
  let left = 0;
  replace(path, (text) => {
    const keys = parseKeys(text, path);
    const index = keys.findIndex((key) => key.id === id);
    if (index === -1) throw new KeyFileError(`${path}: there is no key ${id}`);
    left = keys.length - 1;
    return withoutKey(text, index);
  });
  return left;
};

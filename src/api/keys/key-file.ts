/**
 * The file of API keys, YAML or JSON: `keys: [{ id, hash, roles }]`. It holds digests alone. A key is 32 random bytes, so
 * one round of SHA-256 is enough: there is nothing to guess that a slow hash would protect.
 */
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { ANONYMOUS } from './caller.js';
import { Problem } from '../problem.js';
import { expected, name, oneOf } from '../requests/fields.js';
import { validated } from '../validation.js';
import { ROLES, type Role } from './roles.js';

/** Thrown when a file of keys cannot be used. The message is one line, and says nothing of any hash. */
export class KeyFileError extends Error {
  override readonly name = 'KeyFileError';
}

/** A key as the file has it. */
export interface ApiKey {
  /** Stands in events and on jobs for whoever has the key. */
  readonly id: string;
  /** `sha256:` and the digest in lower-case hexadecimal. */
  readonly hash: string;
  readonly roles: readonly Role[];
}

/** Each request is compared with every key: 60 ns a key. */
export const MAX_KEYS = 1_000;
const MAX_BYTES = 1024 * 1024;

const HASH_TEXT = 'sha256: and the 64 hexadecimal digits of the key';
const KEYS_TEXT = `a list of at most ${MAX_KEYS} keys, each { id, hash, roles }`;
const ROLES_TEXT = `a list of roles, of ${ROLES.join(', ')}`;

/** What a key may be called. */
export const keyId = name.refine((value) => value !== ANONYMOUS, {
  error: `must not be ${ANONYMOUS}: that is who calls without a key`,
});

const key = z.strictObject(
  {
    id: keyId,
    hash: z
      .string({ error: expected(HASH_TEXT) })
      .regex(/^sha256:[0-9a-f]{64}$/i, { error: expected(HASH_TEXT) })
      .transform((written) => written.toLowerCase()),
    roles: z.array(oneOf(...ROLES), { error: expected(ROLES_TEXT) }).min(1, { error: expected(ROLES_TEXT) }),
  },
  { error: expected('a key: { id, hash, roles }') },
);

const file = z.strictObject(
  { keys: z.array(key, { error: expected(KEYS_TEXT) }).max(MAX_KEYS, { error: expected(KEYS_TEXT) }) },
  { error: expected('an object with keys') },
);

const requireDistinct = (keys: readonly ApiKey[], field: 'id' | 'hash', path: string): void => {
  const seen = new Map<string, number>();
  for (const [index, each] of keys.entries()) {
    const first = seen.get(each[field]);
    if (first !== undefined)
      throw new KeyFileError(`${path}: keys[${index}].${field} is that of keys[${first}]: each key has its own`);
    seen.set(each[field], index);
  }
};

const firstLine = (error: unknown): string => (error as Error).message.split('\n', 1)[0]!;

/** The document that the text holds, not yet judged. @throws KeyFileError */
const parsed = (text: string, path: string): unknown => {
  try {
    return parse(text);
  } catch (cause) {
    throw new KeyFileError(`${path}: is neither YAML nor JSON: ${firstLine(cause)}`, { cause });
  }
};

/**
 * The keys that a file's text holds, perhaps none.
 * @throws KeyFileError that names the field that is wrong and what was expected.
 */
export const parseKeys = (text: string, path: string): readonly ApiKey[] => {
  const document = parsed(text, path);
  if (document === null || document === undefined) throw new KeyFileError(`${path}: is empty, expected keys`);
  try {
    const { keys } = validated(file, document, 'body');
    requireDistinct(keys, 'id', path);
    requireDistinct(keys, 'hash', path);
    return keys;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const { message } = error;
    throw new KeyFileError(`${path}: ${message.startsWith('the body') ? message.slice(9) : message}`, { cause: error });
  }
};

/** @throws KeyFileError when it is not there, cannot be read, or is larger than 1 MiB. */
export const readText = (path: string): string => {
  try {
    const bytes = readFileSync(path);
    if (bytes.length <= MAX_BYTES) return bytes.toString('utf8');
  } catch (cause) {
    throw new KeyFileError(`${path}: cannot be read: ${firstLine(cause)}`, { cause });
  }
  throw new KeyFileError(`${path}: is larger than ${MAX_BYTES} bytes`);
};

/** As the file keeps a key. */
export const hashOf = (secret: string): string => `sha256:${hash('sha256', secret, 'hex')}`;

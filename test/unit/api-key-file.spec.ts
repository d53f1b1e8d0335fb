/** The file of API keys: what it may hold, and how it is edited. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKey, listKeys, revokeKey } from '../../src/api/keys/edit-keys.js';
import { hashOf, KeyFileError, MAX_KEYS, parseKeys } from '../../src/api/keys/key-file.js';
import { ROLES } from '../../src/api/keys/roles.js';

const HASH = `sha256:${'ab'.repeat(32)}`;
const OTHER = `sha256:${'cd'.repeat(32)}`;
const entry = (id: string, hash: string, roles = '[worker]'): string =>
  `  - { id: ${id}, hash: "${hash}", roles: ${roles} }\n`;

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jobledger-keys-'));
  path = join(folder, 'keys.yaml');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const refusal = (text: string): string => {
  try {
    parseKeys(text, 'F');
  } catch (error) {
    expect(error).toBeInstanceOf(KeyFileError);
    expect((error as Error).message).not.toContain('\n');
    return (error as Error).message;
  }
  throw new Error('the file was accepted');
};

describe('a file of keys', () => {
  it('is YAML or JSON, with hashes in any case of letters, of every role', () => {
    const yaml = `keys:\n${entry('a', HASH.toUpperCase().replace('SHA', 'sha'))}${entry('b.c/d:e-f_g', OTHER, `[${ROLES.join(', ')}]`)}`;
    const keys = [
      { id: 'a', hash: HASH, roles: ['worker'] },
      { id: 'b.c/d:e-f_g', hash: OTHER, roles: [...ROLES] },
    ];
    expect(parseKeys(yaml, path)).toEqual(keys);
    expect(parseKeys(JSON.stringify({ keys }), path)).toEqual(keys);
    expect(parseKeys('keys: []', path)).toEqual([]);
  });

  it('has the digest of the key as anybody computes it', () => {
    expect(hashOf('my key')).toBe(`sha256:${createHash('sha256').update('my key').digest('hex')}`);
  });

  it.each([
    ['', 'F: is empty, expected keys'],
    ['# nothing\n', 'F: is empty, expected keys'],
    ['- a', 'F: must be an object with keys'],
    ['keys:', /^F: keys must be a list of at most 1000 keys/],
    ['key: []', /^F: keys is required: a list of at most 1000 keys.*1 more/],
    ['keys: [', /^F: is neither YAML nor JSON: /],
    ['keys: []\nkeys: []', /^F: is neither YAML nor JSON: /],
    ['keys: []\nsalt: 1', 'F: salt is not known here'],
    ['keys: [a]', 'F: keys[0] must be a key: { id, hash, roles }'],
    [`keys:\n${entry('"a b"', HASH)}`, /^F: keys\[0\]\.id must be a name/],
    [`keys:\n${entry('anonymous', HASH)}`, /^F: keys\[0\]\.id must not be anonymous/],
    [`keys:\n${entry('a', 'plain-secret')}`, /^F: keys\[0\]\.hash must be sha256: and the 64 hexadecimal digits/],
    [`keys:\n${entry('a', HASH.slice(0, -1))}`, /^F: keys\[0\]\.hash must be/],
    [`keys:\n${entry('a', HASH, '[]')}`, /^F: keys\[0\]\.roles must be a list of roles, of dispatcher/],
    [`keys:\n${entry('a', HASH, '[root]')}`, /^F: keys\[0\]\.roles\[0\] must be one of dispatcher/],
    [`keys:\n${entry('a', HASH, 'worker')}`, /^F: keys\[0\]\.roles must be a list/],
    [`keys: [{ id: a, hash: "${HASH}", roles: [worker], note: x }]`, 'F: keys[0].note is not known here'],
    [`keys:\n${entry('a', HASH)}${entry('a', OTHER)}`, 'F: keys[1].id is that of keys[0]: each key has its own'],
    [`keys:\n${entry('a', HASH)}${entry('b', HASH)}`, 'F: keys[1].hash is that of keys[0]: each key has its own'],
  ])('is refused as %j', (text, message) => {
    const said = refusal(text);
    if (typeof message === 'string') expect(said).toBe(message);
    else expect(said).toMatch(message);
    // Somebody may have put the key where its hash belongs.
    expect(said).not.toContain('plain-secret');
  });

  it('has a bounded number of keys', () => {
    const keys = Array.from({ length: MAX_KEYS + 1 }, (_, n) => ({
      id: `k${n}`,
      hash: hashOf(`${n}`),
      roles: ['worker'],
    }));
    expect(refusal(JSON.stringify({ keys }))).toMatch(/^F: keys must be a list of at most 1000 keys/);
    expect(parseKeys(JSON.stringify({ keys: keys.slice(1) }), path)).toHaveLength(MAX_KEYS);
  });
});

describe('a key', () => {
  it('is made with a secret that only its maker sees, and listed without a hash', () => {
    const made = createKey(path, { id: 'billing', roles: ['dispatcher', 'worker', 'worker'] });
    expect(made).toEqual({ id: 'billing', roles: ['dispatcher', 'worker'], secret: expect.any(String) });
    expect(made.secret).toMatch(/^jobledger_[A-Za-z0-9_-]{43}$/);
    const text = readFileSync(path, 'utf8');
    expect(text).not.toContain(made.secret);
    expect(text).toContain(hashOf(made.secret));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const other = createKey(path, { id: 'w', roles: ['worker'] });
    expect(other.secret).not.toBe(made.secret);
    expect(listKeys(path)).toEqual([
      { id: 'billing', roles: ['dispatcher', 'worker'] },
      { id: 'w', roles: ['worker'] },
    ]);
    expect(readdirSync(folder)).toEqual(['keys.yaml']);
  });

  it('is taken away, the last one too, and what people wrote stays', () => {
    writeFileSync(path, `# ask Ann\nkeys:\n  # of the night shift\n${entry('a', HASH)}${entry('b', OTHER)}`);
    chmodSync(path, 0o640);
    createKey(path, { id: 'c', roles: ['admin'] });
    expect(revokeKey(path, 'b')).toBe(2);
    const text = readFileSync(path, 'utf8');
    expect(text).toContain('# ask Ann');
    expect(text).toContain('# of the night shift');
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(listKeys(path).map(({ id }) => id)).toEqual(['a', 'c']);
    expect([revokeKey(path, 'a'), revokeKey(path, 'c')]).toEqual([1, 0]);
    expect(listKeys(path)).toEqual([]);
    createKey(path, { id: 'd', roles: ['admin'] });
    expect(listKeys(path)).toEqual([{ id: 'd', roles: ['admin'] }]);
  });

  it('is edited in JSON where the file is JSON', () => {
    const json = join(folder, 'keys.json');
    writeFileSync(json, JSON.stringify({ keys: [{ id: 'a', hash: HASH, roles: ['worker'] }] }));
    createKey(json, { id: 'b', roles: ['admin'] });
    revokeKey(json, 'a');
    expect((JSON.parse(readFileSync(json, 'utf8')) as { keys: object[] }).keys).toMatchObject([{ id: 'b' }]);
  });

  it('is edited where a link leads, and the link stays', () => {
    writeFileSync(path, '# none yet\n');
    const link = join(folder, 'link.yaml');
    symlinkSync(path, link);
    createKey(link, { id: 'a', roles: ['worker'] });
    expect(listKeys(path)).toEqual([{ id: 'a', roles: ['worker'] }]);
    expect(readFileSync(path, 'utf8')).toContain('# none yet');
  });

  it.each([
    ['an id that is taken', () => createKey(path, { id: 'a', roles: ['worker'] }), /there is a key a: revoke it first/],
    [
      'an id that is none',
      () => createKey(path, { id: 'a b', roles: ['worker'] }),
      /^the new key: keys\[0\]\.id must be/,
    ],
    ['no role', () => createKey(path, { id: 'z', roles: [] }), /^the new key: keys\[0\]\.roles must be/],
    ['a role that is none', () => createKey(path, { id: 'z', roles: ['root' as never] }), /roles\[0\] must be one of/],
    ['an id that is not there', () => revokeKey(path, 'zz'), /there is no key zz/],
    ['no file', () => revokeKey(join(folder, 'none'), 'a'), /none/],
    ['no file', () => listKeys(join(folder, 'none')), /none: cannot be read: ENOENT/],
    ['a folder', () => createKey(folder, { id: 'z', roles: ['worker'] }), /: cannot be read: EISDIR/],
  ])('is refused with %s, and nothing is changed', (_what, edit, message) => {
    const before = `keys:\n${entry('a', HASH)}`;
    writeFileSync(path, before);
    expect(edit).toThrow(KeyFileError);
    expect(edit).toThrow(message);
    expect([readFileSync(path, 'utf8'), readdirSync(folder), existsSync(`${folder}.lock`)]).toEqual([
      before,
      ['keys.yaml'],
      false,
    ]);
  });

  it('waits for no other editor: it says who has the file, and leaves both as they are', () => {
    writeFileSync(path, `keys:\n${entry('a', HASH)}`);
    writeFileSync(`${path}.lock`, 'half of a new version');
    expect(() => revokeKey(path, 'a')).toThrow(/keys\.yaml\.lock: somebody is changing the keys/);
    expect(readFileSync(`${path}.lock`, 'utf8')).toBe('half of a new version');
    expect(listKeys(path)).toHaveLength(1);
  });
});

/** The keys in force, and what becomes of them when their file changes. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiKeys } from '../../src/api/keys/api-keys.js';
import { hashOf, KeyFileError } from '../../src/api/keys/key-file.js';
import type { Role } from '../../src/api/keys/roles.js';

let folder: string;
let path: string;
let said: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jobledger-keys-'));
  path = join(folder, 'keys.yaml');
  said = [];
});
afterEach(() => {
  jest.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

const write = (keys: Readonly<Record<string, readonly Role[]>>): void =>
  writeFileSync(
    path,
    JSON.stringify({ keys: Object.entries(keys).map(([id, roles]) => ({ id, hash: hashOf(`key of ${id}`), roles })) }),
  );

const open = (): ApiKeys =>
  new ApiKeys(path, {
    changed: (keys) => said.push(`changed: ${keys.map(({ id }) => id).join()}`),
    failed: ({ message }) => said.push(message),
  });

describe('keys in force', () => {
  it('are found by the key itself, and by nothing else', () => {
    write({ a: ['worker'], b: ['admin', 'auditor'] });
    const keys = open();
    expect(keys.find('key of b')).toMatchObject({ id: 'b', roles: new Set(['admin', 'auditor']) });
    expect(keys.find('key of a')).toMatchObject({ id: 'a' });
    for (const wrong of ['', 'a', 'key of', 'key of ab', 'Key of a', hashOf('key of a'), hashOf('key of a').slice(7)]) {
      expect([wrong, keys.find(wrong)]).toEqual([wrong, undefined]);
    }
    expect(said).toEqual([]);
  });

  it('may be of any bytes, as HTTP gives them: one a character', () => {
    const secret = 'ключ ü';
    writeFileSync(path, JSON.stringify({ keys: [{ id: 'a', hash: hashOf(secret), roles: ['worker'] }] }));
    expect(open().find(Buffer.from(secret, 'utf8').toString('latin1'))?.id).toBe('a');
  });

  it('change with the file, at the next look of anybody', () => {
    write({ a: ['worker'], b: ['admin'], c: ['auditor'] });
    const keys = open();
    const [a, b, c] = ['a', 'b', 'c'].map((id) => keys.find(`key of ${id}`)!);
    write({ b: ['admin', 'operator'], c: ['auditor'], d: ['worker'] });
    expect(keys.find('key of a')).toBeUndefined();
    expect(keys.find('key of b')?.roles).toEqual(new Set(['admin', 'operator']));
    expect(keys.find('key of c')).toBe(c);
    expect(keys.find('key of d')?.id).toBe('d');
    // Whoever follows a stream with a key that is gone, or has other roles now, is let go.
    expect([a, b, c].map((caller) => caller!.revoked.aborted)).toEqual([true, true, false]);
    expect(said).toEqual(['changed: b,c,d']);
  });

  it('change when another file takes the place of theirs, of the same size and time', () => {
    write({ a: ['worker'] });
    const keys = open();
    const at = new Date('2026-01-01');
    utimesSync(path, at, at);
    expect(keys.find('key of a')?.id).toBe('a');
    const next = join(folder, 'next');
    writeFileSync(next, JSON.stringify({ keys: [{ id: 'b', hash: hashOf('key of b'), roles: ['worker'] }] }));
    utimesSync(next, at, at);
    renameSync(next, path);
    expect([keys.find('key of a'), keys.find('key of b')?.id]).toEqual([undefined, 'b']);
  });

  it.each([
    ['is broken', () => writeFileSync(path, 'keys: ['), /is neither YAML nor JSON/],
    ['is cut off', () => writeFileSync(path, ''), /is empty/],
    ['is gone', () => rmSync(path), /ENOENT/],
  ])('stay when the file %s, which is said once, until it can be used', (_what, spoil, message) => {
    write({ a: ['worker'] });
    const keys = open();
    spoil();
    const a = keys.find('key of a')!;
    expect(a.id).toBe('a');
    keys.read();
    keys.find('key of a');
    expect(said).toEqual([expect.stringMatching(message)]);
    expect(keys.complaint).toMatch(message);
    write({ a: ['worker'] });
    expect([keys.find('key of a'), a.revoked.aborted, keys.complaint]).toEqual([a, false, null]);
    write({ b: ['worker'] });
    expect([keys.find('key of a'), a.revoked.aborted]).toEqual([undefined, true]);
  });

  it('are none when the last one was taken out: nobody gets in', () => {
    write({ a: ['worker'] });
    const keys = open();
    write({});
    expect([keys.find('key of a'), keys.size, keys.complaint]).toEqual([undefined, 0, null]);
  });

  it('are looked at without anybody asking', () => {
    jest.useFakeTimers();
    write({ a: ['worker'] });
    const keys = open();
    const { revoked } = keys.find('key of a')!;
    keys.start();
    write({ b: ['worker'] });
    jest.advanceTimersByTime(1_000);
    expect(revoked.aborted).toBe(true);
    keys.stop();
    expect(jest.getTimerCount()).toBe(0);
  });

  it.each([
    ['is missing', () => undefined],
    ['is empty', () => writeFileSync(path, '')],
    ['has no key', () => write({})],
    ['is broken', () => writeFileSync(path, '{')],
    ['is too large', () => writeFileSync(path, `# ${'x'.repeat(1024 * 1024)}`)],
  ])('cannot be opened when the file %s', (_what, spoil) => {
    spoil();
    expect(open).toThrow(KeyFileError);
  });
});

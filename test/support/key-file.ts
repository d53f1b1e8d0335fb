/** A file of API keys, one a name; the key of `ann` is `key-of-ann`. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashOf } from '../../src/api/keys/key-file.js';
import type { Role } from '../../src/api/keys/roles.js';

export type RolesByKey = Readonly<Record<string, readonly Role[]>>;

export const keyOf = (id: string): string => `key-of-${id}`;

/** The header of whoever has the key. */
export const withKey = (id: string) => ({ headers: { authorization: `Bearer ${keyOf(id)}` } });

export class KeyFile {
  private readonly folder = mkdtempSync(join(tmpdir(), 'jobledger-keys-'));
  readonly path = join(this.folder, 'keys.yaml');

  constructor(roles: RolesByKey) {
    this.set(roles);
  }

  /** Another file in its place, as editors and orchestrators put it there. */
  set(roles: RolesByKey): void {
    const keys = Object.entries(roles).map(([id, of]) => ({ id, hash: hashOf(keyOf(id)), roles: of }));
    this.write(JSON.stringify({ keys }));
  }

  write(text: string): void {
    const next = join(this.folder, 'next');
    writeFileSync(next, text);
    renameSync(next, this.path);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

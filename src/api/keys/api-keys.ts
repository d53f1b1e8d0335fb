/**
 * The keys in force. Danger: a key that was taken away must not get in again, and a file that somebody is in the middle
 * of writing must lock nobody out.
 *
 * The file is looked at before each request (a `stat` of 2.6 µs), so a key that is gone is refused from the next request
 * on; and read once a second besides, so that streams and long polls of such a key end without anybody calling. A file
 * that cannot be used keeps the keys of the last good one in force: the log says so once, readiness until it is repaired.
 * A list of keys that is there and empty is meant: then nobody gets in.
 */
import { setMaxListeners } from 'node:events';
import { hash, timingSafeEqual } from 'node:crypto';
import { statSync } from 'node:fs';
import type { Caller } from './caller.js';
import { type ApiKey, KeyFileError, parseKeys, readText } from './key-file.js';
import type { Role } from './roles.js';

export interface KeyLog {
  /** Other keys are in force. */
  readonly changed: (keys: readonly { readonly id: string; readonly roles: readonly Role[] }[]) => void;
  /** The file cannot be used: those of the last good one stay in force. */
  readonly failed: (error: Error) => void;
}

const LOOK_EVERY_MS = 1_000;

interface KeyInForce {
  readonly key: ApiKey;
  readonly digest: Buffer;
  readonly caller: Caller;
  readonly revoke: () => void;
}

const inForce = (key: ApiKey): KeyInForce => {
  const revoking = new AbortController();
  setMaxListeners(0, revoking.signal);
  return {
    key,
    digest: Buffer.from(key.hash.slice('sha256:'.length), 'hex'),
    caller: { id: key.id, roles: new Set(key.roles), revoked: revoking.signal },
    revoke: () => revoking.abort(),
  };
};

const isSame = (a: ApiKey, b: ApiKey): boolean =>
  a.id === b.id &&
  a.hash === b.hash &&
  a.roles.length === b.roles.length &&
  a.roles.every((role) => b.roles.includes(role));

/** What a file is known by: another one in its place differs, however fast it came. */
const signatureOf = (path: string): string => {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch {
    return 'none';
  }
};

export class ApiKeys {
  private keys: readonly KeyInForce[] = [];
  private signature: string;
  private text: string;
  private failure: KeyFileError | null = null;
  private timer: NodeJS.Timeout | undefined;

  /** @throws KeyFileError when the file is missing, unreadable, broken, or without a key. */
  constructor(
    private readonly path: string,
    private readonly log: KeyLog,
  ) {
    this.signature = signatureOf(path);
    this.text = readText(path);
    const keys = parseKeys(this.text, path);
    if (keys.length === 0) throw new KeyFileError(`${path}: has no key, expected at least one`);
    this.keys = keys.map(inForce);
  }

  /** Why the file cannot be used; null when its keys are in force. */
  get complaint(): string | null {
    return this.failure?.message ?? null;
  }

  /** How many keys are in force. */
  get size(): number {
    return this.keys.length;
  }

  /**
   * Whose key it is. Every key is compared, in constant time: how long it takes says nothing of any.
   * @param secret as it was sent, one byte a character.
   */
  find(secret: string): Caller | undefined {
    if (signatureOf(this.path) !== this.signature) this.read();
    const digest = hash('sha256', Buffer.from(secret, 'latin1'), 'buffer');
    let found: Caller | undefined;
    for (const each of this.keys) if (timingSafeEqual(each.digest, digest)) found = each.caller;
    return found;
  }

  /** Looks at the file from time to time, until it is stopped. */
  start(): void {
    this.timer ??= setInterval(() => this.read(), LOOK_EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  /** Reads the file, whatever it looks like: one that was written twice within a tick of its clock looks the same. */
  read(): void {
    // Before the text: a change in between is found by the next look.
    this.signature = signatureOf(this.path);
    try {
      const text = readText(this.path);
      if (text === this.text && this.failure === null) return;
      this.take(parseKeys(text, this.path));
      this.text = text;
      this.failure = null;
    } catch (error) {
      if (!(error instanceof KeyFileError)) throw error;
      const isNews = this.failure?.message !== error.message;
      this.failure = error;
      if (isNews) this.log.failed(error);
    }
  }

  private take(keys: readonly ApiKey[]): void {
    const before = this.keys;
    this.keys = keys.map((key) => before.find((known) => isSame(known.key, key)) ?? inForce(key));
    for (const known of before) if (!this.keys.includes(known)) known.revoke();
    this.log.changed(keys.map(({ id, roles }) => ({ id, roles })));
  }
}

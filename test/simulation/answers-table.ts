/** Twin of `answers` (src/commands/migrations). */
import { ANSWERS, type AnswerRow, type Answers, type StoredAnswer } from '../../src/commands/answers.js';
import type { Idempotency } from '../../src/commands/envelope.js';
import type { BesideApplier } from '../../src/event-store/memory/memory-event-store.js';

const keyOf = (key: Buffer): string => key.toString('base64');

export class AnswersTable implements Answers {
  readonly rows = new Map<string, StoredAnswer & { readonly at: number }>();

  constructor(private readonly now: () => number) {}

  readonly appliers: readonly [string, BesideApplier][] = [
    [
      ANSWERS.name,
      {
        check: (entries) => entries.filter(({ row }) => this.rows.has(keyOf(row.key))).map(({ request }) => request),
        apply: (entries, { at }) => {
          for (const { row, position } of entries) {
            const { fingerprint, events, body } = row;
            if (this.rows.has(keyOf(row.key))) throw new Error('answers_put: a key twice in one append');
            this.rows.set(keyOf(row.key), { fingerprint, position, events, body, at });
          }
        },
      } satisfies BesideApplier<AnswerRow>,
    ],
  ];

  find(key: Buffer): Promise<StoredAnswer | undefined> {
    return Promise.resolve(this.rows.get(keyOf(key)));
  }

  keep({ key, fingerprint }: Idempotency, body: string): Promise<boolean> {
    if (this.rows.has(keyOf(key))) return Promise.resolve(false);
    this.rows.set(keyOf(key), { fingerprint, position: null, events: 0, body, at: this.now() });
    return Promise.resolve(true);
  }

  purge(ms: number): Promise<void> {
    for (const [key, { at }] of this.rows) if (at < this.now() - ms) this.rows.delete(key);
    return Promise.resolve();
  }
}

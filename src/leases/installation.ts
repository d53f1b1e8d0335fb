import { createHash, createHmac, randomBytes } from 'node:crypto';
import type { Pool } from 'pg';
import type { Policy } from '../domain/policy.js';
import { canonicalJson } from '../event-store/canonical-json.js';

/**
 * The secret of lease tokens when none is configured: made once, and kept in the database beside what it protects.
 * Every process of the installation reads the same.
 */
export const installationSecret = async (pool: Pool): Promise<string> => {
  await pool.query("insert into jobledger.settings (name, value) values ('secret', $1) on conflict do nothing", [
    randomBytes(32).toString('base64url'),
  ]);
  const { rows } = await pool.query<{ value: string }>("select value from jobledger.settings where name = 'secret'");
  const secret = rows[0]?.value;
  if (secret === undefined) throw new Error('the installation has no secret');
  return secret;
};

/** Of no lease token, and the same in every version: else an upgrade would look like another secret. */
const FINGERPRINTED = 'jobledger: which secret signs lease tokens';

/** What has to be the same in every process on a database. */
export const SHARED_SETTINGS = ['secret', 'policy'] as const;
export type SharedSetting = (typeof SHARED_SETTINGS)[number];

/** The row that keeps its fingerprint. */
const rowOf = (setting: SharedSetting): string => `${setting}_fingerprint`;

const settingsOf = (rows: readonly { readonly name: string }[]): readonly SharedSetting[] =>
  SHARED_SETTINGS.filter((setting) => rows.some(({ name }) => name === rowOf(setting)));

/**
 * Which secret the processes on a database sign lease tokens with, and by which policy they judge. Those with two secrets
 * refuse each other's tokens, so that the workers of one lose every lease at the other; with two policies it depends on
 * who judges when a job is stale. Fingerprints are kept, which tell nothing of the secret.
 */
export class SharedSettings {
  private readonly fingerprints: Readonly<Record<string, string>>;

  constructor(
    private readonly pool: Pool,
    { secret, policy }: { readonly secret: string; readonly policy: Policy },
  ) {
    this.fingerprints = {
      [rowOf('secret')]: createHmac('sha256', secret).update(FINGERPRINTED).digest('base64url'),
      [rowOf('policy')]: createHash('sha256').update(canonicalJson(policy)).digest('base64url'),
    };
  }

  /** Says that this process's are in use from now on. @returns those that were others until now */
  async declare(): Promise<readonly SharedSetting[]> {
    const { rows } = await this.pool.query<{ name: string; before: string | null }>(
      `with before as (select name, value from jobledger.settings where name = any ($1))
       insert into jobledger.settings as s (name, value) select * from unnest($1::text[], $2::text[])
       on conflict (name) do update set value = excluded.value where s.value <> excluded.value
       returning s.name, (select value from before where before.name = s.name) as before`,
      [Object.keys(this.fingerprints), Object.values(this.fingerprints)],
    );
    return settingsOf(rows.filter(({ before }) => before !== null));
  }

  /** Those that a process which started after this one has others of. */
  async others(): Promise<readonly SharedSetting[]> {
    const { rows } = await this.pool.query<{ name: string; value: string }>({
      name: 'shared-settings',
      text: 'select name, value from jobledger.settings where name = any ($1)',
      values: [Object.keys(this.fingerprints)],
    });
    return settingsOf(rows.filter(({ name, value }) => value !== this.fingerprints[name]));
  }
}

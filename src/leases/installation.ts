import { createHmac, randomBytes } from 'node:crypto';
import type { Pool } from 'pg';

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

/**
 * Which secret the processes on a database sign lease tokens with. Those with two of them refuse each other's tokens, so
 * that the workers of one lose every lease at the other. A fingerprint is kept, which tells nothing of the secret.
 */
export class SecretInUse {
  private readonly fingerprint: string;

  constructor(
    private readonly pool: Pool,
    secret: string,
  ) {
    this.fingerprint = createHmac('sha256', secret).update(FINGERPRINTED).digest('base64url');
  }

  /** Says that this process's is in use from now on. @returns whether it was another one until now */
  async declare(): Promise<boolean> {
    const { rows } = await this.pool.query<{ before: string | null }>(
      `with before as (select value from jobledger.settings where name = 'secret_fingerprint')
       insert into jobledger.settings as s (name, value) values ('secret_fingerprint', $1)
       on conflict (name) do update set value = excluded.value where s.value <> excluded.value
       returning (select value from before) as before`,
      [this.fingerprint],
    );
    return rows.some(({ before }) => before !== null);
  }

  /** Whether a process that started after this one has another. */
  async isOther(): Promise<boolean> {
    const { rows } = await this.pool.query<{ value: string }>({
      name: 'secret-in-use',
      text: "select value from jobledger.settings where name = 'secret_fingerprint'",
    });
    return rows.some(({ value }) => value !== this.fingerprint);
  }
}

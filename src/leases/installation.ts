import { randomBytes } from 'node:crypto';
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

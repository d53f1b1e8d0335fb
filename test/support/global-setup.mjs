/**
 * One PostgreSQL server for a run of Jest, in a folder of its own. Jest does not transform what `globalSetup` imports
 * as native modules, so the TypeScript goes through the loader that the tests' own processes use.
 */
import './register-typescript.mjs';

export default async () => {
  if (process.env.JOBLEDGER_TEST_DATABASE_URL) return;
  const { startSharedPostgres } = await import('./shared-postgres.ts');
  globalThis.sharedPostgres = await startSharedPostgres();
  process.env.JOBLEDGER_TEST_DATABASE_URL = globalThis.sharedPostgres.url;
};

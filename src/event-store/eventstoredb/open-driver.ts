/**
 * The driver for a connection string: `esdb://` and `esdb+discover://` through `@eventstore/db-client`, `kurrentdb://`
 * and `kurrentdb+discover://` through `@kurrent/kurrentdb-client`, which has to be installed beside.
 */
import { readFileSync } from 'node:fs';
import { Unsupported } from '../event-store.js';
import { ClientDriver, type DriverOptions } from './client-driver.js';
import type { GrpcClient } from './grpc-client.js';
import type { EventStoreDriver } from './driver.js';

const CLIENTS = {
  esdb: { module: '@eventstore/db-client', name: 'EventStoreDBClient' },
  kurrentdb: { module: '@kurrent/kurrentdb-client', name: 'KurrentDBClient' },
} as const;

type Connect = { connectionString(url: string): GrpcClient };

const load = async (module: string, name: string): Promise<Connect> => {
  let loaded: Record<string, unknown>;
  try {
    loaded = (await import(module)) as Record<string, unknown>;
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error;
    throw new Unsupported(`${module} is not installed: npm install ${module}`, { cause: error });
  }
  // Of a CommonJS package what static analysis does not find stands in `default` alone.
  const found = loaded[name] ?? (loaded['default'] as Record<string, unknown> | undefined)?.[name];
  if (found === undefined) throw new Unsupported(`${module} has no ${name}: another version is installed`);
  return found as Connect;
};

/** What is wrong with a file that the string names: of one that is missing a client says neither which nor where. */
const fileComplaint = (url: string): string | undefined => {
  for (const [, option, path] of url.matchAll(/[?&](tlsCAFile|userCertFile|userKeyFile)=([^&]*)/gi)) {
    try {
      readFileSync(decodeURIComponent(path!.trim()));
    } catch (error) {
      return `${option}: ${(error as Error).message}`;
    }
  }
  return undefined;
};

/**
 * Connects at the first call.
 * @throws Unsupported when the scheme is another, the string cannot be read, or its client is not installed
 */
export const openDriver = async (url: string, options: DriverOptions = {}): Promise<EventStoreDriver> => {
  const scheme = /^(esdb|kurrentdb)(\+discover)?:\/\//.exec(url)?.[1] as keyof typeof CLIENTS | undefined;
  if (scheme === undefined) throw new Unsupported('the connection string begins neither with esdb:// nor kurrentdb://');
  // It makes conflicts look like successes with a wrong revision.
  if (/throwOnAppendFailure=false/i.test(url)) throw new Unsupported('throwOnAppendFailure must stay true');
  const { module, name } = CLIENTS[scheme];
  const client = await load(module, name);
  try {
    return new ClientDriver(client.connectionString(url), options);
  } catch (error) {
    // Neither the string nor the client's message, which quotes it: they may hold a password.
    const { location, expected } = error as { location?: readonly number[]; expected?: string };
    const said = 'the connection string cannot be read';
    if (location?.[0] !== undefined) {
      throw new Unsupported(`${said} at character ${location[0] + 1}: expected ${expected ?? 'another'}`);
    }
    const complaint = fileComplaint(url);
    throw new Unsupported(complaint === undefined ? said : `${said}: ${complaint}`);
  }
};

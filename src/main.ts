/** The process: reads the configuration, starts what it says, and stops it in order. */
import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type * as wire from './api/contract.js';
import { Shutdown } from './api/shutdown.js';
import { createApplication } from './application.js';
import { type Config, describeConfig, loadConfig } from './config.js';
import { Unsupported } from './event-store/event-store.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './event-store/postgres/embedded/embedded-postgres.js';
import { createLogger, type Logger, nestLogger, projectionLog, reaperLog } from './process-log.js';

const versionOf = (): string => {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
};

/** The server of those who run none; null when a database is configured. */
const openDatabase = async ({ databaseUrl, dataDir }: Config, log: Logger): Promise<EmbeddedPostgres | null> => {
  if (databaseUrl !== null) return null;
  const serverLog = { info: (text: string) => log.debug(text), warn: (text: string) => log.warn(text) };
  return startEmbeddedPostgres({ dataDir, log: serverLog });
};

const openApplication = (
  config: Config,
  databaseUrl: string,
  shutdown: Shutdown,
  log: Logger,
  state: { ready: boolean },
): Promise<NestFastifyApplication> =>
  createApplication({
    service: {
      databaseUrl,
      poolSize: config.databasePoolSize,
      statementTimeoutMs: config.statementTimeoutMs,
      ...(config.eventStoreDbUrl !== null && { eventStoreDbUrl: config.eventStoreDbUrl }),
      policy: config.policy,
      maxPending: config.maxPending,
      idempotencyMs: config.idempotencyMs,
      secret: config.secret,
      reaper: { intervalMs: config.reaperIntervalMs, log: reaperLog(log) },
      projectionLog: projectionLog(log),
    },
    run: config.run,
    shutdown,
    settings: describeConfig(config) as wire.ConfigView,
    version: versionOf(),
    logger: nestLogger(log, () => state.ready),
  });

const UNREACHABLE =
  /^(E(CONNREFUSED|NOTFOUND|TIMEDOUT|HOSTUNREACH|NETUNREACH|CONNRESET|AI_AGAIN)|28\w{3}|3D000|57P03)$/;

/** What is wrong with a connection string, with the setting that has it; never the string, which may hold a password. */
const namingTheSetting = ({ databaseUrl }: Config, error: unknown): unknown => {
  if (error instanceof Unsupported) return new Error(`JOBLEDGER_EVENTSTOREDB_URL: ${error.message}`, { cause: error });
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (databaseUrl === null || typeof code !== 'string' || !UNREACHABLE.test(code)) return error;
  const reason = typeof message === 'string' && message !== '' ? message : code;
  return new Error(`JOBLEDGER_DATABASE_URL names a database that cannot be reached: ${reason}`, { cause: error });
};

/** Why it cannot listen there, with the setting that says where. */
const namingTheAddress = ({ host, port }: Config, error: unknown): unknown => {
  switch ((error as { code?: unknown }).code) {
    case 'EADDRINUSE':
      return new Error(
        `port ${port} of ${host} is taken by another program (EADDRINUSE): stop that, or set JOBLEDGER_PORT to another port, or to 0 for a free one`,
        { cause: error },
      );
    case 'EACCES':
      return new Error(`port ${port} is not open to this user (EACCES): set JOBLEDGER_PORT to one from 1024 up`, {
        cause: error,
      });
    case 'EADDRNOTAVAIL':
      return new Error(`${host} is no address of this machine (EADDRNOTAVAIL): set JOBLEDGER_HOST to one that is`, {
        cause: error,
      });
    default:
      return error;
  }
};

/** Resolves at the first signal to stop; further ones change nothing. */
const untilSignalled = (): Promise<NodeJS.Signals> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
  });

/** For so long after the signal whoever asks is told that this process is stopping, and goes elsewhere. */
const FAREWELL_MS = 250;

const serve = async (
  app: NestFastifyApplication,
  config: Config,
  signalled: Promise<NodeJS.Signals>,
  log: Logger,
  state: { ready: boolean },
): Promise<void> => {
  await app.listen(config.port, config.host).catch((error: unknown) => {
    throw namingTheAddress(config, error);
  });
  const address = app.getHttpServer().address() as AddressInfo;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  const url = `http://${name}:${address.port}`;
  state.ready = true;
  process.stdout.write(`Jobledger is ready at ${url} (no API keys: loopback only, every role granted)\n`);
  log.info({ signal: await signalled }, 'stopping');
};

const run = async (state: { ready: boolean }): Promise<void> => {
  const signalled = untilSignalled();
  const config = loadConfig(process.env, process.cwd());
  const log = createLogger(config.logLevel);
  const embedded = await openDatabase(config, log);
  try {
    const shutdown = new Shutdown();
    const databaseUrl = embedded?.url ?? config.databaseUrl ?? '';
    const app = await openApplication(config, databaseUrl, shutdown, log, state).catch((error: unknown) => {
      throw namingTheSetting(config, error);
    });
    const stopping = signalled.finally(() => shutdown.begin());
    try {
      await serve(app, config, stopping, log, state);
      await sleep(FAREWELL_MS);
    } finally {
      await app.close();
    }
  } finally {
    await embedded?.stop();
  }
};

const state = { ready: false };
run(state).then(
  () => process.exit(0),
  (error: unknown) => {
    const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n', 1);
    process.stderr.write(`jobledger ${state.ready ? 'did not stop in order' : 'did not start'}: ${line}\n`);
    process.exit(1);
  },
);

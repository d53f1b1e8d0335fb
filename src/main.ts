/** The process: reads the configuration, starts what it says, and stops it in order. */
import 'reflect-metadata';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type * as wire from './api/contract.js';
import { ApiKeys } from './api/keys/api-keys.js';
import { KeyFileError } from './api/keys/key-file.js';
import { LOG_AWAY } from './api/away.js';
import { Shutdown } from './api/shutdown.js';
import { within } from './api/within.js';
import { announce } from './announcement.js';
import { SERVICE } from './app.module.js';
import { createApplication, runsNoApi } from './application.js';
import { EXIT } from './cli/exit-codes.js';
import { type Config, ConfigError, describeConfig, loadConfig } from './config.js';
import { Unsupported } from './event-store/event-store.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './event-store/postgres/embedded/embedded-postgres.js';
import { UnusableDataFolder } from './event-store/postgres/embedded/embedded-postgres-error.js';
import { OtherLog } from './event-store/postgres/place-of-log.js';
import { namingTheAddress, requireFree } from './listen-address.js';
import {
  clockLog,
  createLogger,
  keyLog,
  type Logger,
  nestLogger,
  otherSetting,
  outageLog,
  projectionLog,
  reaperLog,
} from './process-log.js';
import type { Service } from './service.js';
import { readVersion } from './version.js';

/** The server of those who run none; null when a database is configured. @throws ConfigError for a folder that is of no use */
const openDatabase = async ({ databaseUrl, dataDir }: Config, log: Logger): Promise<EmbeddedPostgres | null> => {
  if (databaseUrl !== null) return null;
  const serverLog = { info: (text: string) => log.debug(text), warn: (text: string) => log.warn(text) };
  return startEmbeddedPostgres({ dataDir, log: serverLog }).catch((error: unknown) => {
    throw error instanceof UnusableDataFolder ? new ConfigError(error.message, { cause: error }) : error;
  });
};

/** @throws ConfigError when the file of keys is missing, unreadable, broken or without a key. */
const openKeys = ({ apiKeys }: Config, log: Logger): ApiKeys | null => {
  try {
    return apiKeys === null ? null : new ApiKeys(apiKeys, keyLog(log));
  } catch (error) {
    if (error instanceof KeyFileError) throw new ConfigError(`JOBLEDGER_API_KEYS: ${error.message}`, { cause: error });
    throw error;
  }
};

const openApplication = (
  config: Config,
  keys: ApiKeys | null,
  embedded: EmbeddedPostgres | null,
  shutdown: Shutdown,
  log: Logger,
  state: { ready: boolean },
): Promise<NestFastifyApplication> =>
  createApplication({
    service: {
      databaseUrl: embedded?.url ?? config.databaseUrl ?? '',
      poolSize: config.databasePoolSize,
      statementTimeoutMs: config.statementTimeoutMs,
      ...(config.eventStoreDbUrl !== null && { eventStoreDbUrl: config.eventStoreDbUrl }),
      policy: config.policy,
      maxPending: config.maxPending,
      idempotencyMs: config.idempotencyMs,
      secret: config.secret,
      reaper: { intervalMs: config.reaperIntervalMs, log: reaperLog(log) },
      outageLog: outageLog(log, embedded?.tellLog),
      clockLog: clockLog(log),
      onOtherSetting: otherSetting(log),
      projectionLog: projectionLog(log),
    },
    run: config.run,
    shutdown,
    keys,
    settings: describeConfig(config) as wire.ConfigView,
    version: readVersion(),
    logger: nestLogger(log, () => state.ready),
  });

const UNREACHABLE = /^(E(CONNREFUSED|NOTFOUND|TIMEDOUT|HOSTUNREACH|NETUNREACH|CONNRESET|AI_AGAIN)|57P03)$/;
/** Of a server that answers: the user, the password or the name of the database is wrong. */
const TURNED_AWAY = /^(28\w{3}|3D000)$/;

/** What is wrong with where the log or the database is, with the setting that says it; never the string, which may hold a password. */
const namingTheSetting = ({ databaseUrl }: Config, error: unknown): unknown => {
  if (error instanceof Unsupported)
    return new ConfigError(`JOBLEDGER_EVENTSTOREDB_URL: ${error.message}`, { cause: error });
  if (error instanceof OtherLog) return new ConfigError(error.message, { cause: error });
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (databaseUrl === null || typeof code !== 'string') return error;
  const reason = typeof message === 'string' && message !== '' ? message : code;
  const named = 'JOBLEDGER_DATABASE_URL names a database that';
  if (TURNED_AWAY.test(code)) return new ConfigError(`${named} cannot be used: ${reason}`, { cause: error });
  return UNREACHABLE.test(code) ? new Error(`${named} cannot be reached: ${reason}`, { cause: error }) : error;
};

/** Resolves at the first signal to stop; further ones change nothing. */
const untilSignalled = (): Promise<NodeJS.Signals> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
  });

/** For so long after the signal, at least, whoever asks is told that this process is stopping, and goes elsewhere. */
const FAREWELL_MS = 250;
/** For so long at most while connections are open: each is closed by the answer that it gets meanwhile. */
const LONGEST_FAREWELL_MS = 2_000;
const CONNECTIONS_POLL_MS = 50;

const farewell = async (server: Server): Promise<void> => {
  const began = performance.now();
  const connections = promisify(server.getConnections.bind(server));
  await sleep(FAREWELL_MS);
  while (performance.now() - began < LONGEST_FAREWELL_MS && (await connections()) > 0) await sleep(CONNECTIONS_POLL_MS);
};

/** Whoever starts it waits for its line. */
const LOG_CHECK_MS = 2_000;

/** Of one in the database: it answered when the process was started. */
const doesLogAnswer = async (config: Config, { store }: Service): Promise<boolean> =>
  config.eventStoreDbUrl === null || (await within(LOG_CHECK_MS, store.head())) !== undefined;

const serve = async (
  app: NestFastifyApplication,
  config: Config,
  signalled: Promise<NodeJS.Signals>,
  shutdown: Shutdown,
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
  const access = config.apiKeys === null ? 'no API keys: loopback only, every role granted' : 'API keys are needed';
  const what = config.run.includes('api')
    ? `ready at ${url}`
    : `ready: it ${runsNoApi(config.run)}; only /health and /metrics are at ${url}`;
  const service = app.get<Service>(SERVICE);
  void announce(
    {
      ready: `Jobledger is ${what} (${access})\n`,
      notReady: `Jobledger listens at ${url} and is not ready: ${LOG_AWAY} at what JOBLEDGER_EVENTSTOREDB_URL names; trying until it does\n`,
      doesLogAnswer: () => doesLogAnswer(config, service),
      say: (line) => process.stdout.write(line),
    },
    shutdown.signal,
  );
  log.info({ signal: await signalled }, 'stopping');
};

const run = async (state: { ready: boolean }): Promise<void> => {
  const signalled = untilSignalled();
  const config = loadConfig(process.env, process.cwd());
  const log = createLogger(config.logLevel);
  const keys = openKeys(config, log);
  await requireFree(config);
  const embedded = await openDatabase(config, log);
  try {
    const shutdown = new Shutdown();
    const opening = openApplication(config, keys, embedded, shutdown, log, state).catch((error: unknown) => {
      throw namingTheSetting(config, error);
    });
    // A database that does not answer, or another process that migrates it, may take as long as it likes.
    const app = await Promise.race([opening, signalled]);
    if (typeof app === 'string') {
      log.info({ signal: app }, 'stopping before it was ready');
      return;
    }
    const stopping = signalled.finally(() => shutdown.begin());
    try {
      await serve(app, config, stopping, shutdown, log, state);
      await farewell(app.getHttpServer());
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
    process.exit(error instanceof ConfigError ? EXIT.USAGE : EXIT.REFUSED);
  },
);

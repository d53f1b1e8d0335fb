/** The service that a demo runs on: one that is there, or one of its own. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JobledgerClient, type Ready } from '../../client/client.js';
import { startEmbeddedPostgres } from '../../event-store/postgres/embedded/embedded-postgres.js';
import { type Connection, USUAL_URL } from '../connection.js';

export interface LedgerService {
  readonly url: string;
  /** Whether it was started for the demo. */
  readonly isOwn: boolean;
  /** Aborted when one that was started ends by itself. */
  readonly lost: AbortSignal;
  /** Ends what was started, and removes its data. May be called twice. */
  readonly close: () => Promise<void>;
}

/** Thrown when there is no service to run on; one line says why. */
export class NoServiceError extends Error {}

const PROGRAM = join(import.meta.dirname, 'service-process.js');
const ASK_MS = 2_000;
/** Its last requests, and a checkpoint of its database. */
const STOP_LIMIT_MS = 30_000;
const KEPT_CHARACTERS = 4_000;

/** Why the service cannot be used, or null. */
const refusalOf = async (url: string): Promise<string | null> => {
  try {
    const client = new JobledgerClient({ baseUrl: url });
    const ready = (await client.ready({ deadlineMs: 0, timeoutMs: ASK_MS })) as Partial<Ready> | null;
    if (typeof ready?.status !== 'string' || typeof ready.checks !== 'object') return 'what answers is no Jobledger';
    return ready.status === 'unavailable' ? 'it is unavailable' : null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};

const silent = { info: () => undefined, warn: () => undefined };

/** What a service that was killed has left: its database server runs on, and its data is there. */
const removeLeftovers = async (dataDir: string): Promise<void> => {
  if (existsSync(join(dataDir, 'cluster'))) {
    const server = await startEmbeddedPostgres({ dataDir, log: silent });
    await server.stop();
  }
  await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
};

const stop = async (child: ChildProcess, dataDir: string): Promise<void> => {
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit');
    if (child.connected) child.disconnect();
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
    await exited;
    clearTimeout(timer);
  }
  if (existsSync(dataDir)) await removeLeftovers(dataDir);
};

const environment = (dataDir: string): NodeJS.ProcessEnv => ({
  // Settings for other services are none of this one's.
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^jobledger_/i.test(name))),
  JOBLEDGER_PORT: '0',
  JOBLEDGER_DATA_DIR: dataDir,
  JOBLEDGER_REAPER_INTERVAL_MS: '500',
  JOBLEDGER_LOG_LEVEL: 'warn',
});

const startOwn = async (signal: AbortSignal): Promise<LedgerService> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'jobledger-demo-'));
  const child = fork(PROGRAM, [], {
    // Not where the user is: a jobledger.yaml there configures another service.
    cwd: dataDir,
    env: environment(dataDir),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // Ctrl-C is the demo's, which ends it last.
    detached: true,
  });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= stop(child, dataDir));
  signal.addEventListener('abort', () => void close());
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-KEPT_CHARACTERS)));
  const url = await new Promise<string | null>((resolve) => {
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      const [, ready] = /ready at (http:\S+)/.exec(output) ?? [];
      if (ready !== undefined) resolve(ready);
    });
    child.once('exit', () => resolve(null));
    child.once('error', () => resolve(null));
  });
  const lost = new AbortController();
  child.once('exit', (code, by) => {
    const how = by ?? `exit code ${code ?? ''}`;
    if (closing === undefined)
      lost.abort(new NoServiceError(`the service of the demo ended by itself (${how}) ${said}`));
  });
  if (url !== null) return { url, isOwn: true, lost: lost.signal, close };
  await close();
  throw new NoServiceError(said.trim() || 'the service ended before it was ready');
};

const there = (url: string): LedgerService => ({
  url,
  isOwn: false,
  lost: new AbortController().signal,
  close: () => Promise.resolve(),
});

/**
 * @param signal ends one that is being started.
 * @throws NoServiceError when the one that was named does not answer, or none could be started.
 */
const findService = async (
  { url, own }: Pick<Connection, 'url'> & { readonly own: boolean },
  signal: AbortSignal,
): Promise<LedgerService> => {
  if (url !== null) {
    const refusal = await refusalOf(url);
    if (refusal !== null) throw new NoServiceError(`no service at ${url}: ${refusal}`);
    return there(url);
  }
  if (!own && (await refusalOf(USUAL_URL)) === null) return there(USUAL_URL);
  return startOwn(signal);
};

/**
 * What a demo does on its service, which is found before and closed after it.
 * @param signal ends it, as the loss of a service of its own does.
 */
export const onService = async <Result>(
  args: Parameters<typeof findService>[0],
  signal: AbortSignal,
  work: (service: LedgerService, signal: AbortSignal) => Promise<Result>,
): Promise<Result> => {
  const service = await findService(args, signal);
  try {
    signal.throwIfAborted();
    return await work(service, AbortSignal.any([signal, service.lost]));
  } finally {
    await service.close();
  }
};

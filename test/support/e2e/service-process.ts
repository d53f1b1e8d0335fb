/** One process of the built service, as an operator would run it, and everything that may happen to a process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { mainFile } from './build.js';
import { waitFor } from './wait.js';

/** Lines of output kept for a test that fails. */
const KEPT_LINES = 400;

/** A port that was free a moment ago. */
export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
};

export type Environment = Readonly<Record<string, string>>;

export class ServiceProcess {
  private child: ChildProcess | undefined;
  private readonly lines: string[] = [];

  private constructor(
    /** As shown in violations and output. */
    readonly name: string,
    readonly port: number,
    private readonly environment: Environment,
    private readonly program: string,
    private readonly onLine: (line: string) => void,
  ) {}

  /**
   * @param program what it runs; default the build of these sources
   * @param onLine told every line that it prints
   */
  static async create(
    name: string,
    environment: Environment,
    program = mainFile,
    onLine: (line: string) => void = () => undefined,
  ): Promise<ServiceProcess> {
    return new ServiceProcess(name, await freePort(), environment, program, onLine);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get isRunning(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** The end of what it printed, oldest first. */
  get output(): readonly string[] {
    return this.lines;
  }

  /**
   * Starts the process on its port, with the settings of the first start unless given, and waits until it is ready.
   * @throws Error when it exits before, or is not within a generous limit.
   */
  async start(more: Environment = {}, limitMs?: number): Promise<void> {
    const inherited = Object.entries(process.env).filter(([name]) => !name.toUpperCase().startsWith('JOBLEDGER_'));
    const child = spawn(process.execPath, [this.program], {
      env: { ...Object.fromEntries(inherited), ...this.environment, JOBLEDGER_PORT: `${this.port}`, ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    child.stdout.setEncoding('utf8').on('data', (text: string) => this.keep(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.keep(text));
    this.keep(`--- started, pid ${child.pid}`);
    const isReady = async (): Promise<boolean> => {
      if (!this.isRunning) throw new Error(`${this.name} exited before it was ready:\n${this.lines.join('\n')}`);
      return (await this.ready()) === 200;
    };
    await waitFor(`${this.name} to be ready`, isReady, limitMs);
  }

  /** HTTP status of readiness; undefined when nothing answers within a second. */
  async ready(): Promise<number | undefined> {
    try {
      const response = await fetch(`${this.url}/health/ready`, { signal: AbortSignal.timeout(1_000) });
      await response.arrayBuffer();
      return response.status;
    } catch {
      return undefined;
    }
  }

  /** @throws Error when it is not, within a generous limit. */
  async untilReady(limitMs?: number): Promise<void> {
    await waitFor(`${this.name} to be ready`, async () => (await this.ready()) === 200, limitMs);
  }

  /** Sends a signal; `SIGSTOP` freezes it until `SIGCONT`. */
  signal(signal: NodeJS.Signals): void {
    this.keep(`--- ${signal}`);
    this.child?.kill(signal);
  }

  /** kill -9, also of a frozen one. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** SIGTERM; resolves with the exit code. */
  async terminate(): Promise<number | null> {
    return this.end('SIGTERM');
  }

  /** What an operator would see, for a test that fails. */
  report(): string {
    return [`===== ${this.name} (${this.url})`, ...this.lines].join('\n');
  }

  private async end(signal: NodeJS.Signals): Promise<number | null> {
    const { child } = this;
    if (child === undefined || !this.isRunning) return child?.exitCode ?? null;
    const exited = once(child, 'exit');
    this.signal(signal);
    await exited;
    return child.exitCode;
  }

  private keep(text: string): void {
    const lines = text.split('\n').filter((line) => line !== '');
    for (const line of lines) this.onLine(line);
    this.lines.push(...lines);
    this.lines.splice(0, Math.max(0, this.lines.length - KEPT_LINES));
  }
}

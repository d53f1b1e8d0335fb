/**
 * A real server that a command starts, for tests that kill, freeze and cut it off. Its clients reach it by way of a
 * proxy, so that their connections can be broken while it goes on.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { type DatabaseProxy, openDatabaseProxy } from '../database-proxy.js';
import type { LogOrder, LogServer } from './log-server.js';

/** A start with much to read takes its time. */
const START_MS = 120_000;
const LOOK_EVERY_MS = 100;

export class RealProcess implements LogServer {
  readonly #orders: Readonly<Partial<Record<LogOrder, () => void | Promise<void>>>> = {
    // Without a word to it, as a crash is.
    stop: () => this.#end(),
    start: () => this.#start(),
    freeze: () => this.#signal('SIGSTOP'),
    thaw: () => this.#signal('SIGCONT'),
    dropCalls: () => {
      this.#way.cut();
      this.#way.mend();
    },
  };
  readonly #command: string;
  readonly #health: string;
  readonly #way: DatabaseProxy;
  #child: ChildProcess | undefined;

  private constructor(command: string, health: string, way: DatabaseProxy) {
    this.#command = command;
    this.#health = health;
    this.#way = way;
  }

  /**
   * @param command for a shell; serves at `url` without TLS, in the foreground
   * @param url connection string of one node
   */
  static async start(command: string, url: string): Promise<RealProcess> {
    const health = `http://${new URL(url).host}/health/live`;
    const server = new RealProcess(command, health, await openDatabaseProxy(url));
    try {
      await server.#start();
    } catch (error) {
      await server.kill();
      throw error;
    }
    return server;
  }

  get url(): string {
    return this.#way.url;
  }

  can(order: LogOrder): boolean {
    return this.#orders[order] !== undefined;
  }

  async tell(order: LogOrder): Promise<void> {
    const carryOut = this.#orders[order];
    if (carryOut === undefined) throw new Error(`a real server cannot be told to ${order}`);
    await carryOut();
  }

  async kill(): Promise<void> {
    await this.#end();
    await this.#way.close();
  }

  async #start(): Promise<void> {
    // A group of its own: a shell in between is ended with it.
    const child = spawn(this.#command, { shell: true, detached: true, stdio: 'ignore' });
    this.#child = child;
    for (const until = performance.now() + START_MS; ;) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error('the server of the log ended');
      const isLive = await fetch(this.#health).then(
        ({ status }) => status === 204,
        () => false,
      );
      if (isLive) return;
      if (performance.now() > until) throw new Error(`${this.#health} does not say that it is live`);
      await pause(LOOK_EVERY_MS);
    }
  }

  async #end(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    this.#signal('SIGKILL');
    await ended;
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#child?.pid !== undefined) process.kill(-this.#child.pid, signal);
  }
}

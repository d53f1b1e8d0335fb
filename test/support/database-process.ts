/** `npm run db` as a process of its own, from a clone, to be killed and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

export interface StartOptions {
  /** Whose `src` runs; default: this one. */
  readonly project?: string;
  /** When root: as this user. */
  readonly uid?: number;
  readonly gid?: number;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const running = new Set<ChildProcess>();

/** The output so far, and a wait for what it will say. */
class Output {
  text = '';
  #waiting: (() => void)[] = [];

  append(chunk: Buffer | string): void {
    this.text += chunk.toString();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** @throws when the process ended without having said it. */
  async match(pattern: RegExp, ended: Promise<Ended>): Promise<RegExpExecArray> {
    for (let end: Ended | undefined; ;) {
      const found = pattern.exec(this.text);
      if (found !== null) return found;
      if (end !== undefined) throw new Error(`the process ended without saying ${pattern.source}: ${this.text}`);
      end = await Promise.race([ended, new Promise<undefined>((wake) => this.#waiting.push(() => wake(undefined)))]);
    }
  }
}

export class DatabaseProcess {
  readonly #child: ChildProcess;
  readonly #urls = new Output();
  readonly lines = new Output();
  readonly ended: Promise<Ended>;

  constructor(dataDir: string, { project = process.cwd(), uid, gid }: StartOptions = {}) {
    const { PATH } = process.env;
    this.#child = spawn(
      process.execPath,
      ['--import', './test/support/register-typescript.mjs', 'src/cli/jobledger.ts', 'db'],
      {
        cwd: project,
        // A group of its own, as a shell gives to a command: Ctrl-C is a signal to the group.
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { PATH, JOBLEDGER_DATA_DIR: dataDir },
        ...(uid === undefined || gid === undefined ? {} : { uid, gid }),
      },
    );
    running.add(this.#child);
    this.ended = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        running.delete(this.#child);
        resolve({ code, signal });
      });
    });
    this.#child.stdout?.on('data', (chunk: Buffer) => this.#urls.append(chunk));
    this.#child.stderr?.on('data', (chunk: Buffer) => this.lines.append(chunk));
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Resolves when it serves. */
  async url(): Promise<string> {
    const [url] = await this.#urls.match(/.+(?=\n)/, this.ended).catch((error: unknown) => {
      throw new Error(`not started: ${this.lines.text}`, { cause: error });
    });
    return url;
  }

  /** Of the server. */
  async serverPid(): Promise<number> {
    return Number((await this.lines.match(/(?:started|taken over): pid (\d+)/, this.ended))[1]);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** What a terminal does. */
  ctrlC(): void {
    process.kill(-this.pid, 'SIGINT');
  }

  /** Asks it to stop, and waits until it has. */
  async stop(): Promise<Ended> {
    this.kill('SIGTERM');
    return this.ended;
  }
}

/** What a failed test has left running. */
export const killAll = async (): Promise<void> => {
  for (const child of running) child.kill('SIGKILL');
  while (running.size > 0) await sleep(10);
};

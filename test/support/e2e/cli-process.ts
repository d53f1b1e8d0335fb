/** `jobledger` as an operator runs it: one process, its output, its exit code. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { mainFile } from './build.js';
import { waitFor } from './wait.js';

export const cliFile = join(dirname(mainFile), 'cli/jobledger.js');

export class CliProcess {
  private readonly child: ChildProcess;
  private readonly closed: Promise<unknown>;
  stdout = '';
  stderr = '';

  constructor(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const inherited = Object.entries(process.env).filter(([name]) => !/^(jobledger_|npm_)/i.test(name));
    this.child = spawn(process.execPath, [cliFile, ...args], {
      env: { ...Object.fromEntries(inherited), ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.closed = once(this.child, 'close');
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
  }

  /** Its exit code, once it has ended. */
  async code(): Promise<number | null> {
    await this.closed;
    return this.child.exitCode;
  }

  /** Until what it has to say beside its output matches. */
  async noted(pattern: RegExp): Promise<void> {
    await waitFor(`jobledger to say ${String(pattern)}, not:\n${this.stderr}`, () => pattern.test(this.stderr));
  }

  /** Until so many lines were printed. */
  async printed(count: number): Promise<readonly string[]> {
    return waitFor(`${count} lines`, () => {
      const lines = this.stdout.split('\n').slice(0, -1);
      return lines.length >= count && lines;
    });
  }

  /** From the first that it prints on nobody reads its output. */
  async stalled(): Promise<void> {
    const { stdout } = this.child;
    await new Promise<void>((resolve) => {
      stdout?.once('data', () => {
        stdout.pause();
        resolve();
      });
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** kill -9, also when it has ended. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.closed;
  }
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const runCli = async (args: readonly string[], environment?: Readonly<Record<string, string>>): Promise<Ran> => {
  const running = new CliProcess(args, environment);
  const code = await running.code();
  return { code, stdout: running.stdout, stderr: running.stderr };
};

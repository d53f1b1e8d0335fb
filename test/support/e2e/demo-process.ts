/** The built demo as a user runs it, with its output as it comes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { mainFile } from './build.js';
import { waitFor } from './wait.js';

export class DemoProcess {
  private readonly child: ChildProcess;
  private readonly exited: Promise<unknown>;
  private text = '';

  /** @param temporaryFolder where it keeps the data of a service of its own. */
  constructor(args: readonly string[], temporaryFolder: string) {
    const inherited = Object.entries(process.env).filter(([name]) => !name.toUpperCase().startsWith('JOBLEDGER_'));
    this.child = spawn(process.execPath, [join(dirname(mainFile), 'cli/jobledger.js'), 'demo', ...args], {
      env: { ...Object.fromEntries(inherited), TMPDIR: temporaryFolder },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.exited = once(this.child, 'close');
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.text += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.text += text));
  }

  get output(): string {
    return this.text;
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Resolves with what it printed, once that matches. */
  async said(pattern: RegExp): Promise<RegExpExecArray> {
    return waitFor(`the demo to say ${String(pattern)}`, () => {
      const found = pattern.exec(this.text);
      if (found === null && !this.isRunning) throw new Error(`the demo ended before:\n${this.text}`);
      return found ?? undefined;
    });
  }

  /** Resolves with the exit code once it has ended; null when a signal ended it. */
  async ended(): Promise<number | null> {
    await this.exited;
    return this.child.exitCode;
  }

  /** The number in the line of the table that begins with this. */
  numberOf(title: string): number {
    const found = new RegExp(`^ +${title} +([\\d,.]+)`, 'm').exec(this.text);
    if (found === null) throw new Error(`no ${title} in:\n${this.text}`);
    return Number(found[1]?.replaceAll(',', ''));
  }

  /** The line of the comparison: what results, progress and file system say, and the verdict. */
  comparisonOf(what: string): readonly string[] {
    const found = new RegExp(`^ +${what} +(.*)$`, 'm').exec(this.text);
    return found?.[1]?.trim().split(/ +/) ?? [];
  }
}

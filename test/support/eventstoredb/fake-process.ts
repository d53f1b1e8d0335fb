/** The fake server in a process of its own, for tests whose services are processes: started, told, and ended by them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { LogOrder, LogServer } from './log-server.js';

export class FakeProcess implements LogServer {
  readonly #child: ChildProcess;

  private constructor(
    child: ChildProcess,
    readonly url: string,
  ) {
    this.#child = child;
  }

  static async start(): Promise<FakeProcess> {
    const program = ['--import', './test/support/register-typescript.mjs', 'test/support/eventstoredb/fake-main.ts'];
    const child = spawn(process.execPath, program, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const [url] = (await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => {
        throw new Error('the fake server did not start');
      }),
    ])) as [string];
    return new FakeProcess(child, url);
  }

  /** All that `FakeEventStoreDb` has. */
  can(): boolean {
    return true;
  }

  async tell(order: LogOrder): Promise<void> {
    const done = once(this.#child, 'message');
    this.#child.send(order);
    await done;
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}

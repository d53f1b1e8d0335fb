/** The fake server in a process of its own, for tests whose services are processes: started, told, and ended by them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** What it can be told to do: see `FakeEventStoreDb`. */
export type FakeOrder =
  'stop' | 'start' | 'freeze' | 'thaw' | 'dropCalls' | 'loseAnswer' | 'starting' | 'started' | 'note';

export class FakeProcess {
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

  /** Resolves when it is done. */
  async tell(order: FakeOrder): Promise<void> {
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

/** A worker of the built client in a process of its own, for tests that kill it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { mainFile } from './build.js';
import { waitFor } from './wait.js';

export interface WorkerProcessOptions {
  readonly workerId: string;
  readonly queue: string;
  readonly concurrency: number;
  /** Never ends a job that it holds; else it completes each at once. */
  readonly hangs: boolean;
}

/** Prints the id of each job as it takes it. */
const programOf = (baseUrl: string, { workerId, queue, concurrency, hangs }: WorkerProcessOptions): string => `
import { JobledgerClient, Worker } from ${JSON.stringify(pathToFileURL(join(dirname(mainFile), 'client/client.js')))};
new Worker({
  client: new JobledgerClient({ baseUrl: ${JSON.stringify(baseUrl)} }),
  workerId: ${JSON.stringify(workerId)}, queues: [${JSON.stringify(queue)}], concurrency: ${concurrency},
  handler: async (job) => {
    console.log(job.id);
    ${hangs ? 'await new Promise(() => undefined);' : `return ${JSON.stringify(`by ${workerId}`)};`}
  },
}).start();`;

export class WorkerProcess {
  private readonly child: ChildProcess;
  private readonly exited: Promise<unknown>;
  private output = '';

  constructor(baseUrl: string, options: WorkerProcessOptions) {
    this.child = spawn(process.execPath, ['--input-type=module', '-e', programOf(baseUrl, options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.exited = once(this.child, 'close');
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
  }

  /** Resolves once it has taken these jobs, and no other. */
  async holds(ids: readonly string[]): Promise<void> {
    const taken = await waitFor('the worker to take its jobs', () => {
      const lines = this.output.split('\n').slice(0, -1);
      return lines.length >= ids.length && lines;
    });
    if (taken.toSorted().join() !== [...ids].sort().join()) throw new Error(`the worker took ${taken.join(', ')}`);
  }

  /** SIGKILL; idempotent. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}

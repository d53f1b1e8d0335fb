/** The life of a worker process: `Worker` of the SDK around a handler, under the orders of its demo. */
import { type Handler, Worker } from '../../client/client.js';
import { connect } from '../connection.js';
import type { Order, WorkerSetup } from './messages.js';

/** A lost answer is asked for again for so long. */
const OUTAGE_MS = 60_000;

/** To the demo: from now on whoever comes to the gate waits. */
export const WAITS = 'waits';

/** Where handlers wait when the demo wants a fault to strike. */
export class Gate {
  #opened: Promise<void> | null = null;
  #open: () => void = () => undefined;

  /** @param isClosed whether whoever comes first waits. */
  constructor(isClosed: boolean) {
    if (isClosed) this.close();
  }

  get isClosed(): boolean {
    return this.#opened !== null;
  }

  close(): void {
    this.#opened ??= new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  open(): void {
    this.#opened = null;
    this.#open();
  }

  async passed(): Promise<void> {
    await this.#opened;
  }
}

/** Works until the demo says `stop`, or is gone. */
export const runWorkerProcess = (
  { url, apiKey, queue, workerId, leaseMs }: WorkerSetup,
  concurrency: number,
  gate: Gate,
  handler: Handler,
): void => {
  const worker = new Worker({
    client: connect({ url, apiKey }, { deadlineMs: OUTAGE_MS }),
    workerId,
    queues: [queue],
    leaseMs,
    concurrency,
    handler,
    listeners: {
      // What a job of the demo failed with is its own to tell.
      failed: () => undefined,
      error: (error) =>
        process.stderr.write(`${workerId}: ${error instanceof Error ? error.message : String(error)}\n`),
    },
  });
  let frozenPid: number | null = null;
  process.on('message', (order: Order) => {
    if (typeof order === 'object') {
      ({ frozenPid } = order);
      return;
    }
    if (order === 'wait') {
      gate.close();
      process.send?.(WAITS);
      return;
    }
    gate.open();
    if (order === 'stop') void worker.stop().then(() => process.exit(0));
  });
  // The demo is gone, and with it whoever would end this process.
  process.once('disconnect', () => {
    if (frozenPid !== null) process.kill(frozenPid, 'SIGCONT');
    process.exit(1);
  });
  worker.start();
};

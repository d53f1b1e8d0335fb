/** One worker of the demo, in a process of its own: `Worker` of the SDK around the demo's handler. */
import { JobledgerClient, Worker } from '../../client/client.js';
import { catalogueHandler } from './catalogue-handler.js';
import { type MidWork, type Order, readSetup } from './messages.js';

const { url, queue, workerId, leaseMs, waitsInMidWork } = readSetup(process.env);

let release: () => void = () => undefined;
const released = new Promise<void>((resolve) => {
  release = resolve;
});
if (!waitsInMidWork) release();

let isReleased = !waitsInMidWork;
const midWork = async (at: MidWork): Promise<void> => {
  if (isReleased) return;
  process.send?.(at);
  await released;
};

const worker = new Worker({
  client: new JobledgerClient({ baseUrl: url }),
  workerId,
  queues: [queue],
  leaseMs,
  handler: catalogueHandler(midWork),
  listeners: {
    error: (error) => process.stderr.write(`${workerId}: ${error instanceof Error ? error.message : String(error)}\n`),
  },
});

let frozenPid: number | null = null;
process.on('message', (order: Order) => {
  if (typeof order === 'object') {
    ({ frozenPid } = order);
    return;
  }
  isReleased = true;
  release();
  if (order === 'stop') void worker.stop().then(() => process.exit(0));
});
// The demo is gone, and with it whoever would end this process.
process.once('disconnect', () => {
  if (frozenPid !== null) process.kill(frozenPid, 'SIGCONT');
  process.exit(1);
});
worker.start();

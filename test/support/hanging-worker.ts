/** A worker whose handler never ends: the program of a process of its own. */
import { JobledgerClient, Worker } from '../../src/client/client.js';

const [, , baseUrl = ''] = process.argv;
const worker = new Worker({
  client: new JobledgerClient({ baseUrl }),
  workerId: 'hanging',
  leaseMs: 300,
  graceMs: 0,
  handler: () => new Promise(() => undefined),
});
process.on('beforeExit', () => console.log('nothing is left to do'));
process.once('SIGTERM', () => void worker.stop().then(() => console.log('stopped')));
worker.start();

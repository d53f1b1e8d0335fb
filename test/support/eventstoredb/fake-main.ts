/** The program of `FakeProcess`. It ends with the process that started it. */
import type { FakeOrder } from './fake-process.js';
import { FakeEventStoreDb } from './fake-server.js';

const server = await FakeEventStoreDb.start();

const ORDERS: Readonly<Record<FakeOrder, () => void | Promise<void>>> = {
  stop: () => server.stop(),
  start: () => server.start(),
  freeze: () => server.freeze(),
  thaw: () => server.thaw(),
  dropCalls: () => server.dropCalls(),
  loseAnswer: () => void (server.answersToLose += 1),
  starting: () => void (server.isStarting = true),
  started: () => void (server.isStarting = false),
  note: () => server.log.note(),
};

process.on('message', (order: FakeOrder) => {
  void Promise.resolve(ORDERS[order]()).then(() => process.send?.('done'));
});
process.on('disconnect', () => process.exit());
process.send?.(server.url);

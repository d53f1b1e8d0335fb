/** The program of `FakeProcess`. It ends with the process that started it. */
import type { LogOrder } from './log-server.js';
import { FakeEventStoreDb } from './fake-server.js';

const server = await FakeEventStoreDb.start();

const ORDERS: Readonly<Record<LogOrder, () => void | Promise<void>>> = {
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

process.on('message', (order: LogOrder) => {
  void Promise.resolve(ORDERS[order]()).then(() => process.send?.('done'));
});
process.on('disconnect', () => process.exit());
process.send?.(server.url);

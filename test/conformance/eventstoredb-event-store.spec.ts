import { keyTable } from '../support/key-table.js';
import { EsdbLog } from '../support/eventstoredb/esdb-log.js';
import { TEST_SERVERS } from '../support/eventstoredb/logs.js';
import { eventStoreConformance } from './event-store.conformance.js';

for (const { name, start } of TEST_SERVERS) {
  eventStoreConformance(`eventstoredb, on ${name}`, async () => {
    const server = await start();
    const log = await EsdbLog.create(server.url);
    return {
      store: await log.store(),
      other: await log.store(),
      keys: keyTable,
      hasKey: (key) => log.hasKey(key),
      close: async () => {
        await log.close();
        server.stop();
      },
    };
  });
}

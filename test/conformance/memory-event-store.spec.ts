import { MemoryEventStore } from '../../src/event-store/memory/memory-event-store.js';
import { keyTable, memoryKeys } from '../support/key-table.js';
import { eventStoreConformance } from './event-store.conformance.js';

eventStoreConformance('memory', () => {
  const { applier, keys } = memoryKeys();
  const store = new MemoryEventStore({ clock: Date.now, beside: new Map([['keys', applier]]) });
  const hasKey = (key: string) => Promise.resolve(keys.has(key));
  return Promise.resolve({ store, other: store, keys: keyTable, hasKey, close: () => store.close() });
});

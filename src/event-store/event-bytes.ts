import type { RecordedEvent } from './event-store.js';

/** Those who follow the end of the log are handed the same events: each is measured once. */
const known = new WeakMap<RecordedEvent, number>();

/** Beside the data: names, ids, times. */
const REST = 1_000;

/** About what an event costs in memory, in bytes: by its data, which alone may be large. */
export const bytesOf = (event: RecordedEvent): number => {
  let bytes = known.get(event);
  if (bytes === undefined) known.set(event, (bytes = REST + (event.dataText ?? JSON.stringify(event.data)).length));
  return bytes;
};

import type { EventFilter } from './event-store.js';

/** The filter as a test of one event, for logs that cannot filter by themselves. */
export const eventTest = ({ types, streams, streamPrefixes }: EventFilter = {}): ((event: {
  readonly type: string;
  readonly stream: string;
}) => boolean) => {
  const typeSet = types && new Set(types);
  const streamSet = streams && new Set(streams);
  return ({ type, stream }) =>
    (typeSet?.has(type) ?? true) &&
    (streamSet?.has(stream) ?? true) &&
    (streamPrefixes?.some((prefix) => stream.startsWith(prefix)) ?? true);
};

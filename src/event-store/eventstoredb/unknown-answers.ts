/**
 * Answers to appends that the client has given up. When one of its streams of appends breaks it rejects what waits on every
 * other one too, of every client in the process, and forgets it: so after a change of leaders, where the old connection
 * ends when the new one is in use. The answer that comes then is to nobody, the client throws in its listener, and reads
 * nothing more of that stream: each later append would hang. Seen with `@eventstore/db-client` 6.2.1 on three nodes. What
 * was rejected is sent again, with the same ids, by whoever sent it.
 */

interface AppendStream {
  listeners(event: 'data'): readonly unknown[];
  removeAllListeners(event: 'data'): unknown;
  on(event: 'data', listener: (answer: unknown) => void): unknown;
}

type Creator = (client: unknown) => AppendStream;

/** What makes the client's streams; not in its types. */
export interface StreamMaker {
  GRPCStreamCreator?: (Client: unknown, name: string, creator: Creator, cache?: unknown) => () => Promise<unknown>;
}

/** By this name the client makes the stream that it appends by. */
const APPENDS = 'appendToStream';

const guarded = (stream: AppendStream): AppendStream => {
  const listeners = stream.listeners('data') as readonly ((answer: unknown) => void)[];
  stream.removeAllListeners('data');
  stream.on('data', (answer) => {
    try {
      for (const listener of listeners) listener(answer);
    } catch (error) {
      // It looks for who waits, and takes what it finds apart: there is nobody.
      if (!(error instanceof TypeError)) throw error;
    }
  });
  return stream;
};

export const passOverUnknownAnswers = (client: StreamMaker): void => {
  const make = client.GRPCStreamCreator?.bind(client);
  if (make === undefined) return;
  client.GRPCStreamCreator = (Client, name, creator, cache) =>
    make(Client, name, name === APPENDS && cache !== undefined ? (grpc) => guarded(creator(grpc)) : creator, cache);
};

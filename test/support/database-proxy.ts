/** A way to the database that can be cut, as a network is. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface DatabaseProxy {
  /** The database by way of the proxy. */
  readonly url: string;
  /** Breaks what is open, and refuses what is new. */
  cut(): void;
  /** Lets new connections through again. */
  mend(): void;
  /** Holds back what is sent either way, and breaks nothing, as a path does whose packets are lost. */
  stall(): void;
  /** Lets it go on. */
  resume(): void;
  close(): Promise<void>;
}

export const openDatabaseProxy = async (databaseUrl: string): Promise<DatabaseProxy> => {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let isCut = false;
  let isStalled = false;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
  };
  // What comes is sent on at once, in pieces as it came: else each waits for the acknowledgement of the one before.
  const server = createServer({ noDelay: true }, (inward) => {
    if (isCut) {
      inward.destroy();
      return;
    }
    const outward = connect({ port: Number(target.port), host: target.hostname, noDelay: true });
    keep(inward);
    keep(outward);
    inward.pipe(outward).pipe(inward);
    if (isStalled) for (const socket of [inward, outward]) socket.pause();
    inward.once('close', () => outward.destroy());
    outward.once('close', () => inward.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: url.href,
    cut: () => {
      isCut = true;
      for (const socket of sockets) socket.destroy();
    },
    mend: () => {
      isCut = false;
    },
    stall: () => {
      isStalled = true;
      for (const socket of sockets) socket.pause();
    },
    resume: () => {
      isStalled = false;
      for (const socket of sockets) socket.resume();
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
};

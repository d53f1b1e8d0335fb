/** Where the process listens: looked at before anything is made, and named by its settings when it cannot be had. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { type Config, ConfigError } from './config.js';

type Address = Pick<Config, 'host' | 'port'>;

/** Why it cannot listen there, with the setting that says where; a ConfigError when waiting would not help. */
export const namingTheAddress = ({ host, port }: Address, error: unknown): unknown => {
  const { code } = error as { code?: string };
  switch (code) {
    case 'EADDRINUSE':
      return new Error(
        `port ${port} of ${host} is taken by another program (EADDRINUSE): stop that, or set JOBLEDGER_PORT to another port, or to 0 for a free one`,
        { cause: error },
      );
    case 'EACCES':
      return new ConfigError(`port ${port} is not open to this user (EACCES): set JOBLEDGER_PORT to one from 1024 up`, {
        cause: error,
      });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ConfigError(`${host} is no address of this machine (${code}): set JOBLEDGER_HOST to one that is`, {
        cause: error,
      });
    default:
      return error;
  }
};

/**
 * Listens there for a moment: a start that cannot serve makes no database first.
 * @throws Error that names the setting when the address is taken; ConfigError when it is none of this process's.
 */
export const requireFree = async (address: Address): Promise<void> => {
  // Whoever asks already whether the service is ready is to find nobody there yet.
  const server = createServer((socket) => socket.destroy());
  try {
    await once(server.listen(address.port, address.host), 'listening');
  } catch (error) {
    throw namingTheAddress(address, error);
  }
  server.close();
  await once(server, 'close');
};

/**
 * The log of a cluster: in its database, or, with `JOBLEDGER_TEST_LOG=eventstoredb`, the fake server in a process of
 * its own; the real one that `EVENTSTOREDB_URL` names, when it does, started by `EVENTSTOREDB_COMMAND` if that is set.
 */
import { FakeProcess } from '../eventstoredb/fake-process.js';
import type { LogServer } from '../eventstoredb/log-server.js';
import { RealProcess } from '../eventstoredb/real-process.js';
import { isElsewhere } from '../test-log.js';
import type { LogPlace } from './history.js';
import type { Environment } from './service-process.js';

export interface ClusterLog {
  readonly place: LogPlace;
  /** Settings by which a service finds it. */
  readonly environment: Environment;
  /** The server that keeps it, when it can be told to fail. */
  readonly server: LogServer | undefined;
  remove(): Promise<void>;
}

export const logInDatabase = (): Promise<ClusterLog> =>
  Promise.resolve({ place: 'database', environment: {}, server: undefined, remove: () => Promise.resolve() });

const environmentOf = (url: string): Environment => ({
  JOBLEDGER_EVENT_STORE: 'eventstoredb',
  JOBLEDGER_EVENTSTOREDB_URL: url,
});

const logOn = (server: LogServer): ClusterLog => ({
  place: 'eventstoredb',
  environment: environmentOf(server.url),
  server,
  remove: () => server.kill(),
});

/** On the fake, whatever the run is over. */
export const logOnFake = async (): Promise<ClusterLog> => logOn(await FakeProcess.start());

/** On the server that `EVENTSTOREDB_URL` names, else on the fake. A real server keeps what was written. */
export const logOfServer = async (): Promise<ClusterLog> => {
  const { EVENTSTOREDB_URL: url, EVENTSTOREDB_COMMAND: command } = process.env;
  if (url === undefined) return logOnFake();
  if (command !== undefined) return logOn(await RealProcess.start(command, url));
  const remove = () => Promise.resolve();
  return { place: 'eventstoredb', environment: environmentOf(url), server: undefined, remove };
};

/** The one that the run is over. */
export const logOfRun = (): Promise<ClusterLog> => (isElsewhere ? logOfServer() : logInDatabase());

/** The servers that tests of the second log run over: the fake always, and a real one when a URL names it. */
import { FakeEventStoreDb } from './fake-server.js';

export interface TestServer {
  readonly name: string;
  /** The connection string, of a server that runs. */
  readonly start: () => Promise<{ readonly url: string; readonly stop: () => void }>;
}

const fake: TestServer = { name: 'the fake', start: () => FakeEventStoreDb.start() };

/** A server that does not answer fails the tests: it was asked for. */
const realUrl = process.env['EVENTSTOREDB_URL'];

export const TEST_SERVERS: readonly TestServer[] =
  realUrl === undefined
    ? [fake]
    : [fake, { name: 'a real server', start: () => Promise.resolve({ url: realUrl, stop: () => undefined }) }];

/** What the driver uses of a client: `@eventstore/db-client` and `@kurrent/kurrentdb-client` have it alike. */
import type { StreamMaker } from './unknown-answers.js';

export interface GrpcClient extends StreamMaker {
  appendToStream(stream: string, events: readonly object[], options: object): Promise<ClientAppended>;
  readStream(stream: string, options: object): ClientReader;
  readAll(options: object): ClientReader;
  subscribeToAll(options: object): ClientSubscription;
  tombstoneStream(stream: string): Promise<unknown>;
  dispose(): Promise<void>;
  /** Not in the types of either: `dispose` ends the calls, and leaves the connection. */
  getChannel?(): Promise<{ close(): void }>;
}

export interface ClientAppended {
  readonly nextExpectedRevision: bigint;
  readonly position?: { readonly commit: bigint };
}

export interface ClientReader extends AsyncIterable<{ readonly event?: ClientEvent }> {
  /** A stream in one client, a generator in the other. */
  cancel?(): Promise<void>;
  destroy?(): unknown;
  on?(event: 'data' | 'error' | 'end' | 'close', listener: (value: never) => void): unknown;
  return?(): Promise<unknown>;
  /** Of the stream: makes an event of a message. Not in its types. */
  _transform?(message: { hasStreamNotFound?(): boolean }, encoding: unknown, next: () => void): void;
}

export interface ClientSubscription {
  on(event: 'confirmation' | 'data' | 'error' | 'end', listener: (value: unknown) => void): unknown;
  unsubscribe(): Promise<void>;
}

export interface ClientEvent {
  readonly streamId: string;
  readonly id: string;
  readonly revision: bigint;
  readonly type: string;
  readonly isJson: boolean;
  readonly data: unknown;
  readonly metadata: unknown;
  readonly position?: { readonly commit: bigint };
}

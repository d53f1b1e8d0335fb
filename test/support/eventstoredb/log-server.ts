/** A server of the second log that a test can have fail: the fake, or a real one. */
export type LogOrder =
  'stop' | 'start' | 'freeze' | 'thaw' | 'dropCalls' | 'loseAnswer' | 'starting' | 'started' | 'note';

export interface LogServer {
  /** The connection string. */
  readonly url: string;
  can(order: LogOrder): boolean;
  /** Resolves when it is done. */
  tell(order: LogOrder): Promise<void>;
  kill(): Promise<void>;
}

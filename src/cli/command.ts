/** What a command is: what it takes, what it says of itself, and what it does. */
import type { JobledgerClient } from '../client/client.js';
import type { Connection } from './connection.js';
import type { Terminal } from './terminal.js';
import type { Values } from './values.js';

export interface Option {
  /** Placeholder of its value, as in `--limit N`; absent: it takes none. */
  readonly value?: string;
  /** May be given several times. */
  readonly repeatable?: true;
  readonly help: string;
}

export interface Command<Name extends string = string> {
  /** The words that call it: `['jobs', 'list']`. */
  readonly words: readonly string[];
  /** Half a line. */
  readonly summary: string;
  /** Paragraphs for `--help`. */
  readonly about?: string;
  /** What it takes beside options. */
  readonly positionals?: { readonly usage: string; readonly min: number; readonly max: number };
  readonly options: Readonly<Record<Name, Option>>;
  /** Whether it asks a service: it takes `--url` and `--key` then. */
  readonly asksService: boolean;
  /** Whether the service does it once for a key: it takes `--idempotency-key` then, and names the key in an outage. */
  readonly isKeyed?: true;
  readonly examples: readonly string[];
  /** Said when an option is unknown: where what was meant may stand. */
  readonly hint?: string;
  /** @returns the exit code. */
  readonly run: (call: Call<Name>) => Promise<number>;
}

/** One call of a command. */
export interface Call<Name extends string = string> {
  readonly values: Values<Name>;
  readonly terminal: Terminal;
  readonly env: NodeJS.ProcessEnv;
  /** Where the user is: paths are meant from there. */
  readonly cwd: string;
  readonly connection: Connection;
  readonly ledger: JobledgerClient;
  /** The one that was given, or a new one. */
  readonly idempotencyKey: string;
  /** Aborted by Ctrl-C and SIGTERM, from the first time that it is asked for. */
  readonly signal: AbortSignal;
}

/** Holds the names of options that a command reads against those that it has. */
export const command = <Name extends string>(spec: Command<Name>): Command => spec;

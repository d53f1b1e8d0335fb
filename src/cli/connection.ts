/** Where the service is, and who asks it. */
import { JobledgerClient, type RetryOptions } from '../client/client.js';
import { requireText } from '../config/empty-values.js';
import { UsageError } from './usage-error.js';
import type { Values } from './values.js';

export const USUAL_URL = 'http://127.0.0.1:8080';

export interface Connection {
  /** Null: not said. */
  readonly url: string | null;
  readonly apiKey: string | null;
  /** For one answer; null: the command's own. */
  readonly timeoutMs?: number | null;
}

/** Of most commands: somebody waits. */
export const TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_SECONDS = 86_400;

const httpUrl = (text: string): string => {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new UsageError(`expected the URL of a service, as ${USUAL_URL}, not "${text}"`);
};

const keyOf = (text: string | undefined): string | undefined => {
  if (text?.trim() !== '') return text;
  throw new UsageError('--key is empty: give it the secret of an API key, or leave it out');
};

const variable = (env: NodeJS.ProcessEnv, name: string): string | null => {
  const text = env[name];
  return text === undefined ? null : requireText(name, text);
};

/** The option wins over the variable. @throws UsageError; ConfigError when a variable is empty */
export const readConnection = (values: Values, env: NodeJS.ProcessEnv): Connection => {
  const url = values.text('url') ?? variable(env, 'JOBLEDGER_URL');
  const seconds = values.whole('timeout', 1, MAX_TIMEOUT_SECONDS);
  return {
    url: url === null ? null : httpUrl(url),
    apiKey: keyOf(values.text('key')) ?? variable(env, 'JOBLEDGER_API_KEY'),
    timeoutMs: seconds === undefined ? null : seconds * 1_000,
  };
};

/** @param retry the default of a command: one try, since somebody waits. */
export const connect = (
  { url, apiKey, timeoutMs }: Connection,
  retry: RetryOptions = { deadlineMs: 0, timeoutMs: timeoutMs ?? TIMEOUT_MS },
): JobledgerClient => new JobledgerClient({ baseUrl: url ?? USUAL_URL, retry, ...(apiKey === null ? {} : { apiKey }) });

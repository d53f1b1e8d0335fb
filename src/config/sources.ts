/** Reads what was set, as text by name, empty or not, from the file and the environment. Which names exist is not asked here. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse } from 'yaml';
import { ConfigError } from './config-error.js';
import { isUnset, requireText } from './empty-values.js';
import { upperSnake } from './settings.js';

export const PREFIX = 'JOBLEDGER_';
const DEFAULT_FILE = 'jobledger.yaml';
/** Of whoever calls a service, by `jobledger`: in the environment of an operator they stand beside settings. */
const OF_CALLERS = ['URL', 'API_KEY'];

export type Source = 'default' | 'file' | 'env';

export interface Written {
  readonly text: string;
  readonly source: Source;
  /** As it was written, for messages. */
  readonly name: string;
}

/** By name without the prefix, in capitals. */
export type WrittenSettings = Map<string, Written>;

const put = (into: WrittenSettings, key: string, written: Written): void => {
  const other = into.get(key);
  if (other !== undefined && other.text !== written.text) {
    throw new ConfigError(`${written.name}: is also given as ${other.name}, with another value`);
  }
  into.set(key, written);
};

const readEnvironment = (env: NodeJS.ProcessEnv): WrittenSettings => {
  const found: WrittenSettings = new Map();
  for (const [name, value] of Object.entries(env)) {
    const key = name.toUpperCase().slice(PREFIX.length);
    if (name.toUpperCase().startsWith(PREFIX) && value !== undefined && !OF_CALLERS.includes(key)) {
      put(found, key, { text: value.trim(), source: 'env', name });
    }
  }
  return found;
};

const isNested = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const asText = (name: string, value: unknown): string => {
  if (value === null) return '';
  if (Array.isArray(value)) return value.map((part) => asText(name, part)).join(',');
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value).trim();
  throw new ConfigError(`${name}: expected a text, a number or a list of them`);
};

/** Nested names are joined: `policy: { retry: { initialMs: 500 } }` is `POLICY_RETRY_INITIAL_MS`. */
const flatten = (value: Record<string, unknown>, file: string, prefix: string, into: WrittenSettings): void => {
  for (const [part, inner] of Object.entries(value)) {
    const key = `${prefix}${upperSnake(part)}`;
    const name = `${PREFIX}${key.replace(PREFIX, '')} (in ${file})`;
    if (isNested(inner)) flatten(inner, file, `${key}_`, into);
    else put(into, key.replace(PREFIX, ''), { text: asText(name, inner), source: 'file', name });
  }
};

const readText = (path: string, isRequired: boolean): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (!isRequired && (cause as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new ConfigError(`${PREFIX}CONFIG: expected a file that can be read, ${(cause as Error).message}`, { cause });
  }
};

const readFile = (path: string, isRequired: boolean): WrittenSettings => {
  const found: WrittenSettings = new Map();
  let content: unknown;
  try {
    content = parse(readText(path, isRequired)) as unknown;
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw new ConfigError(`${path}: not YAML: ${(cause as Error).message.split('\n', 1)[0] ?? ''}`, { cause });
  }
  if (content === null || content === undefined) return found;
  if (!isNested(content)) throw new ConfigError(`${path}: expected settings by name`);
  flatten(content, path, '', found);
  return found;
};

/** `jobledger.yaml` in the working directory, if it is there, or the file that was named, which must be. */
export const readSettings = (env: NodeJS.ProcessEnv, cwd: string) => {
  const fromEnvironment = readEnvironment(env);
  const named = fromEnvironment.get('CONFIG');
  fromEnvironment.delete('CONFIG');
  const path = resolve(cwd, named === undefined ? DEFAULT_FILE : requireText(named.name, named.text));
  const settings = readFile(path, named !== undefined);
  for (const [key, written] of fromEnvironment) {
    if (!settings.has(key) || !isUnset(key, written.text)) settings.set(key, written);
  }
  return { file: { name: `${PREFIX}CONFIG`, value: path, source: named?.source ?? 'default' }, settings } as const;
};

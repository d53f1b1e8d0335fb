import { ConfigError } from './config-error.js';

/**
 * Settings that say where the data is, or who may call. An empty one, which a shell or Compose left so by mistake, is not
 * taken for unset: it would start the service on an empty database, or without keys. Any other that is empty is unset.
 */
const NEVER_EMPTY = ['CONFIG', 'DATABASE_URL', 'DATA_DIR', 'EVENT_STORE', 'EVENTSTOREDB_URL', 'API_KEYS', 'SECRET'];

/** Whether what was written for a setting leaves it unset. */
export const isUnset = (key: string, text: string): boolean => text.trim() === '' && !NEVER_EMPTY.includes(key);

/** @throws ConfigError when there is none */
export const requireText = (name: string, text: string): string => {
  if (text.trim() === '') throw new ConfigError(`${name}: is empty: give it a value, or unset it`);
  return text;
};

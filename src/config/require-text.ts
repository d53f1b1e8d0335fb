import { ConfigError } from './config-error.js';

/**
 * What was set, and is not taken for unset when it is empty: a variable that a shell or Compose left so by mistake would
 * start the service on an empty database, or without keys.
 * @throws ConfigError
 */
export const requireText = (name: string, text: string): string => {
  if (text.trim() === '') throw new ConfigError(`${name}: is empty: give it a value, or unset it`);
  return text;
};

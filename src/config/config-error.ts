/** Thrown when the configuration is wrong. The message is one line: the setting, what it was, what was expected. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

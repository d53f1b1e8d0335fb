/**
 * The configuration: defaults, then a file (`jobledger.yaml`, or the one that `JOBLEDGER_CONFIG` names), then the
 * environment (`JOBLEDGER_…`); the later wins. Read once, at the start, which a wrong name or value stops.
 */
import { resolve } from 'node:path';
import type { ZodType } from 'zod';
import { ConfigError } from './config/config-error.js';
import { defaultDataDir } from './config/data-dir.js';
import { nearName } from './config/near-name.js';
import { type Duty, POLICY_SETTINGS, type Setting, type SettingName, SETTINGS } from './config/settings.js';
import { isUnset, requireText } from './config/empty-values.js';
import { PREFIX, readSettings, type Source, type WrittenSettings } from './config/sources.js';
import type { ValueRule } from './config/values.js';
import { mergePolicy, type Policy, type PolicyOverrides, type PresetName, PRESETS } from './domain/policy.js';

export { ConfigError } from './config/config-error.js';
export type { Duty } from './config/settings.js';
export type { Source } from './config/sources.js';

export interface Config {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** Null: the embedded PostgreSQL. */
  readonly databaseUrl: string | null;
  /** Most connections of this process to the database. */
  readonly databasePoolSize: number;
  readonly statementTimeoutMs: number;
  /** Connection string of the EventStoreDB or KurrentDB that keeps the log; null: the database keeps it. */
  readonly eventStoreDbUrl: string | null;
  /** Of the embedded PostgreSQL. */
  readonly dataDir: string;
  readonly run: readonly Duty[];
  readonly reaperIntervalMs: number;
  readonly preset: PresetName;
  /** The default policy: the preset with what the configuration says instead. */
  readonly policy: Policy;
  /** Of lease tokens; null: the installation's own, kept in the database. */
  readonly secret: string | null;
  /** Path of the file of API keys; null: nobody needs one. */
  readonly apiKeys: string | null;
  /** Commands that may wait before further ones are refused. */
  readonly maxPending: number;
  /** How long the answer of a command is kept for its repetition. */
  readonly idempotencyMs: number;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  /** Every setting as it may be shown, and where it came from. */
  readonly described: readonly DescribedSetting[];
}

export interface DescribedSetting {
  /** With the prefix: `JOBLEDGER_PORT`. */
  readonly name: string;
  /** Secrets are redacted; null when nothing is set. */
  readonly value: unknown;
  readonly source: Source;
}

const KNOWN_NAMES = [...Object.keys(SETTINGS), ...POLICY_SETTINGS.keys()];

const requireKnownNames = (written: WrittenSettings): void => {
  for (const [key, { name }] of written) {
    if (KNOWN_NAMES.includes(key)) continue;
    const near = nearName(key, KNOWN_NAMES);
    throw new ConfigError(`${name}: no such setting${near === undefined ? '' : `, did you mean ${PREFIX}${near}?`}`);
  }
};

/** The value that was written, checked; undefined when none was. */
const parsed = <Value>(written: WrittenSettings, key: string, rule: ValueRule<Value>, isSecret = false) => {
  const found = written.get(key);
  if (found === undefined) return undefined;
  const result = rule.schema.safeParse(requireText(found.name, found.text));
  if (result.success) return result.data;
  throw new ConfigError(
    `${found.name}: expected ${rule.expected}${isSecret ? '' : `, not ${JSON.stringify(found.text)}`}`,
  );
};

type Values = { readonly [Name in SettingName]: ValueOf<(typeof SETTINGS)[Name]> };
type ValueOf<S> = S extends { schema: ZodType<infer Value, string>; fallback: infer Fallback }
  ? Value | Fallback
  : never;

const valuesOf = (written: WrittenSettings): Values => {
  const entries = Object.entries<Setting<unknown>>(SETTINGS).map(([key, setting]) => [
    key,
    parsed(written, key, setting, setting.redact !== undefined) ?? setting.fallback,
  ]);
  return Object.fromEntries(entries) as Values;
};

const LOOPBACK = /^(127(\.\d{1,3}){3}|::1|localhost)$/;

/** Without keys every caller has every role. */
const requireKeysBeyondLoopback = ({ HOST, API_KEYS }: Values): void => {
  if (API_KEYS !== null || LOOPBACK.test(HOST)) return;
  throw new ConfigError(
    `${PREFIX}HOST: expected a loopback address, not "${HOST}": without API keys (${PREFIX}API_KEYS) anybody could do anything`,
  );
};

/** A log is never chosen by one setting and named by another: half a change would go on with another log. */
const requireOneLog = ({ EVENT_STORE, EVENTSTOREDB_URL }: Values): void => {
  if (EVENT_STORE === 'eventstoredb' && EVENTSTOREDB_URL === null) {
    throw new ConfigError(
      `${PREFIX}EVENTSTOREDB_URL: expected ${SETTINGS.EVENTSTOREDB_URL.expected}, since ${PREFIX}EVENT_STORE is "eventstoredb"`,
    );
  }
  if (EVENT_STORE === 'postgres' && EVENTSTOREDB_URL !== null) {
    throw new ConfigError(
      `${PREFIX}EVENTSTOREDB_URL: is set, and ${PREFIX}EVENT_STORE is "postgres": unset one, or set the other to "eventstoredb"`,
    );
  }
};

const policyOverrides = (written: WrittenSettings): PolicyOverrides => {
  const overrides: Record<string, unknown> = {};
  for (const [key, setting] of POLICY_SETTINGS) {
    const value = parsed(written, key, setting);
    if (value === undefined) continue;
    const [outer, inner] = setting.path;
    overrides[outer] = inner === undefined ? value : { ...(overrides[outer] as object | undefined), [inner]: value };
  }
  return overrides;
};

const describe = (
  written: WrittenSettings,
  values: Readonly<Record<string, unknown>>,
  policy: Policy,
): DescribedSetting[] => {
  const described = (key: string, value: unknown): DescribedSetting => ({
    name: `${PREFIX}${key}`,
    // As it would be written.
    value: Array.isArray(value) ? value.join(',') : value,
    source: written.get(key)?.source ?? 'default',
  });
  const plain = Object.entries<Setting<unknown>>(SETTINGS).map(([key, { redact }]) => {
    const value = values[key] ?? null;
    return described(key, typeof value === 'string' && redact !== undefined ? redact(value) : value);
  });
  const ofPolicy = [...POLICY_SETTINGS].map(([key, { path }]) =>
    described(
      key,
      [...path].reduce<unknown>((value, part) => (value as Record<string, unknown>)[part], policy),
    ),
  );
  return [...plain, ...ofPolicy];
};

/**
 * @param env the environment; names in it are case-insensitive.
 * @param cwd where `jobledger.yaml` is looked for, and what paths are relative to.
 * @throws ConfigError naming the setting that is unknown, out of range, empty where it must not be, or at odds with another.
 */
export const loadConfig = (env: NodeJS.ProcessEnv, cwd: string): Config => {
  const { file, settings } = readSettings(env, cwd);
  requireKnownNames(settings);
  const written: WrittenSettings = new Map([...settings].filter(([key, { text }]) => !isUnset(key, text)));
  const values = valuesOf(written);
  requireOneLog(values);
  requireKeysBeyondLoopback(values);
  const policy = mergePolicy(PRESETS[values.PRESET], policyOverrides(written));
  const apiKeys = values.API_KEYS === null ? null : resolve(cwd, values.API_KEYS);
  const dataDir = values.DATA_DIR === null ? defaultDataDir(env) : resolve(cwd, values.DATA_DIR);
  return {
    host: values.HOST,
    port: values.PORT,
    databaseUrl: values.DATABASE_URL,
    databasePoolSize: values.DATABASE_POOL_SIZE,
    statementTimeoutMs: values.STATEMENT_TIMEOUT_MS,
    eventStoreDbUrl: values.EVENTSTOREDB_URL,
    dataDir,
    run: values.RUN,
    reaperIntervalMs: values.REAPER_INTERVAL_MS,
    preset: values.PRESET,
    policy,
    secret: values.SECRET,
    apiKeys,
    maxPending: values.MAX_PENDING,
    idempotencyMs: values.IDEMPOTENCY_MS,
    logLevel: values.LOG_LEVEL,
    described: [file, ...describe(written, { ...values, DATA_DIR: dataDir, API_KEYS: apiKeys }, policy)],
  };
};

/** What `GET /v1/config` answers: every setting in force and where it came from, secrets redacted. */
export const describeConfig = ({ described }: Config): { settings: readonly DescribedSetting[] } => ({
  settings: described,
});

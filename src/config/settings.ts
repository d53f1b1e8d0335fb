/** Every setting: its name without `JOBLEDGER_`, what it takes, its default. The policy's come from the policy. */
import { MAX_DURATION_MS, POLICY_FIELDS, type PresetName } from '../domain/policy.js';
import {
  choice,
  eventStoreDbUrl,
  milliseconds,
  policyField,
  postgresUrl,
  subset,
  text,
  type ValueRule,
  whole,
} from './values.js';

export interface Setting<Value, Fallback extends Value | null = Value | null> extends ValueRule<Value> {
  /** Null: none. */
  readonly fallback: Fallback;
  /** How a secret may be shown; anything else is shown as it is. */
  readonly redact?: (value: string) => string;
}

const DAY_MS = 86_400_000;
const HIDDEN = '***';

/** A database URL without its password, wherever it stands in it. */
export const withoutPassword = (url: string): string => {
  const shown = new URL(url);
  if (shown.password !== '') shown.password = HIDDEN;
  if (shown.searchParams.has('password')) shown.searchParams.set('password', HIDDEN);
  return shown.href;
};

/** A connection string without its password: it may name several hosts, so it is no URL that could be parsed. */
export const withoutCredentials = (text: string): string =>
  text.replace(/^([^:]+:\/\/)(.*)@/, (_, scheme: string, credentials: string) => {
    const colon = credentials.indexOf(':');
    return `${scheme}${credentials.slice(0, colon + 1)}${HIDDEN}@`;
  });

const setting = <Value, Fallback extends Value | null>(
  rule: ValueRule<Value>,
  fallback: Fallback,
  more: Pick<Setting<Value>, 'redact'> = {},
): Setting<Value, Fallback> => ({ ...rule, fallback, ...more });

/** What a process may run; each serves `/health/*` and `/metrics`. */
const DUTIES = ['api', 'projections', 'reaper'] as const;
export type Duty = (typeof DUTIES)[number];

/** The settings that are not of the policy. */
export const SETTINGS = {
  HOST: setting(text('an address to listen on'), '127.0.0.1'),
  /** 0: a free one. */
  PORT: setting(whole(0, 65_535), 8080),
  /** Unset: the embedded PostgreSQL. */
  DATABASE_URL: setting(postgresUrl, null, { redact: withoutPassword }),
  DATABASE_POOL_SIZE: setting(whole(2, 1_000), 10),
  STATEMENT_TIMEOUT_MS: setting(milliseconds(100, 3_600_000), 10_000),
  DATA_DIR: setting(text('a path'), null),
  EVENT_STORE: setting(choice('postgres', 'eventstoredb'), 'postgres'),
  EVENTSTOREDB_URL: setting(eventStoreDbUrl, null, { redact: withoutCredentials }),
  RUN: setting(subset(...DUTIES), DUTIES),
  REAPER_INTERVAL_MS: setting(milliseconds(100, DAY_MS), 60_000),
  PRESET: setting(choice<PresetName>('protea', 'antenna', 'beacon'), 'protea'),
  /** Unset: nobody needs a key, and it listens on loopback only. */
  API_KEYS: setting(text('the path of a file'), null),
  SECRET: setting(text('at least 16 characters', 16), null, { redact: () => HIDDEN }),
  MAX_PENDING: setting(whole(1, 1_000_000), 10_000),
  IDEMPOTENCY_MS: setting(milliseconds(DAY_MS, MAX_DURATION_MS), DAY_MS),
  LOG_LEVEL: setting(choice('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'), 'info'),
} as const;

export type SettingName = keyof typeof SETTINGS;

/** `leaseMs` → `LEASE_MS`, `retry.initialMs` → `RETRY_INITIAL_MS`; any other spelling of a name too. */
export const upperSnake = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[.-]/g, '_')
    .toUpperCase();

export interface PolicySetting extends ValueRule<string | number> {
  /** Where it stands in the policy: `['retry', 'initialMs']`. */
  readonly path: readonly [string] | readonly [string, string];
}

/** The default policy's, by name: `POLICY_STALL_MS`, `POLICY_RETRY_INITIAL_MS` … */
export const POLICY_SETTINGS: ReadonlyMap<string, PolicySetting> = new Map(
  Object.entries(POLICY_FIELDS).map(([path, rule]) => [
    `POLICY_${upperSnake(path)}`,
    { ...policyField(rule), path: path.split('.') as [string] | [string, string] },
  ]),
);

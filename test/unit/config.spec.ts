import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { start } from '../../src/cli/commands/start.js';
import { commandHelp } from '../../src/cli/help.js';
import { type Config, ConfigError, describeConfig, loadConfig } from '../../src/config.js';
import { defaultDataDir } from '../../src/config/data-dir.js';
import { SETTINGS } from '../../src/config/settings.js';
import { POLICY_FIELDS, PRESETS } from '../../src/domain/policy.js';
import { namingTheAddress } from '../../src/listen-address.js';

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'jobledger-config-'));
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

const load = (env: NodeJS.ProcessEnv): Config => loadConfig(env, cwd);
const file = (content: string, name = 'jobledger.yaml'): void => writeFileSync(join(cwd, name), content);
const described = (config: Config, name: string) => describeConfig(config).settings.find((row) => row.name === name);

/** The message of the refusal, which is always one line. */
const refusal = (env: NodeJS.ProcessEnv): string => {
  try {
    load(env);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).not.toContain('\n');
    return (error as Error).message;
  }
  throw new Error('the configuration was accepted');
};

describe('a configuration with nothing set', () => {
  it('listens on loopback, runs everything, keeps the embedded database in the project', () => {
    const { described: _, ...config } = load({});
    expect(config).toEqual({
      host: '127.0.0.1',
      port: 8080,
      databaseUrl: null,
      databasePoolSize: 10,
      statementTimeoutMs: 10_000,
      eventStoreDbUrl: null,
      dataDir: join(process.cwd(), '.data/postgres'),
      run: ['api', 'projections', 'reaper'],
      reaperIntervalMs: 60_000,
      preset: 'protea',
      policy: PRESETS.protea,
      secret: null,
      apiKeys: null,
      maxPending: 10_000,
      idempotencyMs: 86_400_000,
      logLevel: 'info',
    });
  });

  it('takes no notice of what is for those who call a service', () => {
    const { settings } = describeConfig(load({ JOBLEDGER_URL: 'http://127.0.0.1:1', JOBLEDGER_API_KEY: 'a' }));
    expect(settings).toEqual(describeConfig(load({})).settings);
  });

  it('says that each value is a default', () => {
    const { settings } = describeConfig(load({}));
    expect(new Set(settings.map(({ source }) => source))).toEqual(new Set(['default']));
    expect(settings.find(({ name }) => name === 'JOBLEDGER_POLICY_RETRY_INITIAL_MS')).toEqual({
      name: 'JOBLEDGER_POLICY_RETRY_INITIAL_MS',
      value: 1000,
      source: 'default',
    });
    expect(settings.filter(({ name }) => name.startsWith('JOBLEDGER_POLICY_'))).toHaveLength(
      Object.keys(POLICY_FIELDS).length,
    );
  });
});

describe('precedence', () => {
  it('is defaults, then the file, then the environment, setting by setting', () => {
    file('port: 9000\nmax_pending: 7\npolicy: { stallMs: 5000, retry: { initialMs: 700, factor: 3 } }');
    const config = load({ JOBLEDGER_PORT: '9001', JOBLEDGER_POLICY_RETRY_FACTOR: '4.5' });
    expect(config).toMatchObject({ port: 9001, maxPending: 7, host: '127.0.0.1' });
    expect(config.policy).toEqual({
      ...PRESETS.protea,
      stallMs: 5000,
      retry: { ...PRESETS.protea.retry, initialMs: 700, factor: 4.5 },
    });
    expect(described(config, 'JOBLEDGER_PORT')).toMatchObject({ value: 9001, source: 'env' });
    expect(described(config, 'JOBLEDGER_MAX_PENDING')).toMatchObject({ value: 7, source: 'file' });
    expect(described(config, 'JOBLEDGER_POLICY_RETRY_FACTOR')).toMatchObject({ value: 4.5, source: 'env' });
    expect(described(config, 'JOBLEDGER_POLICY_RETRY_INITIAL_MS')).toMatchObject({ value: 700, source: 'file' });
    expect(described(config, 'JOBLEDGER_HOST')).toMatchObject({ value: '127.0.0.1', source: 'default' });
  });

  it('puts a field of the policy before its preset', () => {
    const { policy } = load({ JOBLEDGER_PRESET: 'antenna', JOBLEDGER_POLICY_MAX_ATTEMPTS: '9' });
    expect(policy).toEqual({ ...PRESETS.antenna, maxAttempts: 9 });
  });

  it('reads the file that JOBLEDGER_CONFIG names instead, which must be there', () => {
    file('port: 1');
    file('PORT: 2', 'other.yaml');
    const config = load({ JOBLEDGER_CONFIG: 'other.yaml' });
    expect(config.port).toBe(2);
    expect(described(config, 'JOBLEDGER_CONFIG')).toMatchObject({ value: join(cwd, 'other.yaml'), source: 'env' });
    expect(refusal({ JOBLEDGER_CONFIG: 'missing.yaml' })).toMatch(
      /^JOBLEDGER_CONFIG: expected a file that can be read/,
    );
  });

  it.each(['JOBLEDGER_PORT: 5', 'port: "5"', 'Port: 5', 'reaper: { intervalMs: 500 }\nport: 5'])(
    'takes the file as %j',
    (content) => {
      file(content);
      expect(load({}).port).toBe(5);
    },
  );

  it.each(['', '# nothing\n'])('takes an empty file, %j, for none', (content) => {
    file(content);
    expect(load({}).port).toBe(8080);
  });
});

describe('names and values', () => {
  it('takes names in any case', () => {
    expect(load({ jobledger_port: '5', JobLedger_Max_Pending: '7' })).toMatchObject({ port: 5, maxPending: 7 });
  });

  it.each([
    ...['CONFIG', 'DATABASE_URL', 'DATA_DIR', 'EVENT_STORE', 'EVENTSTOREDB_URL', 'API_KEYS', 'SECRET'].map(
      (key): [string, string] => [`JOBLEDGER_${key}`, ''],
    ),
    ['jobledger_Secret', ' \t '],
  ])('takes no empty value for unset where it says where data are or who may call: %s=%j', (name, value) => {
    expect(refusal({ [name]: value })).toBe(`${name}: is empty: give it a value, or unset it`);
  });

  it.each(['secret:\n', 'secret: ""', 'secret: " "', 'secret: []'])('takes none from the file, %j', (content) => {
    file(content);
    expect(refusal({})).toBe(
      `JOBLEDGER_SECRET (in ${join(cwd, 'jobledger.yaml')}): is empty: give it a value, or unset it`,
    );
  });

  it('takes any other that is empty for unset, in the environment and in the file', () => {
    const names = ['PORT', 'HOST', 'RUN', 'PRESET', 'POLICY_STALL_MS', 'LOG_LEVEL', 'REAPER_INTERVAL_MS'];
    const empty = Object.fromEntries(names.map((key, n) => [`JOBLEDGER_${key}`, n % 2 === 0 ? '' : ' ']));
    const { described, ...values } = load({});
    expect(load(empty)).toEqual({ described, ...values });
    file('port: \npolicy: { stallMs: "" }');
    const { described: said, ...fromFile } = load(empty);
    expect(fromFile).toEqual(values);
    expect(said.find(({ name }) => name === 'JOBLEDGER_PORT')).toMatchObject({ value: 8080, source: 'default' });
  });

  it('takes the value of the file where the environment has an empty one', () => {
    file('port: 5');
    expect(load({ JOBLEDGER_PORT: '' }).port).toBe(5);
  });

  it('says of an empty value of an unknown name that there is none', () => {
    expect(refusal({ JOBLEDGER_PROT: '' })).toBe('JOBLEDGER_PROT: no such setting, did you mean JOBLEDGER_PORT?');
  });

  it('leaves the names of others alone', () => {
    expect(load({ PORT: '5', MY_JOBLEDGER_PORT: '6' }).port).toBe(8080);
  });

  it('takes a part of what a process can run, in any order', () => {
    expect(load({ JOBLEDGER_RUN: 'Reaper, api' }).run).toEqual(['api', 'reaper']);
    file('run: [projections]');
    expect(load({}).run).toEqual(['projections']);
  });

  it('takes a relative data folder from the working directory', () => {
    expect(load({ JOBLEDGER_DATA_DIR: 'data' }).dataDir).toBe(join(cwd, 'data'));
  });

  it.each(['127.0.0.1', '127.1.2.3', '::1', 'localhost'])('listens on %s', (host) => {
    expect(load({ JOBLEDGER_HOST: host }).host).toBe(host);
  });
});

describe('a start is refused', () => {
  it.each([
    [{ JOBLEDGER_PROT: '1' }, 'JOBLEDGER_PROT: no such setting, did you mean JOBLEDGER_PORT?'],
    [
      { JOBLEDGER_POLICY_STALMS: '1' },
      'JOBLEDGER_POLICY_STALMS: no such setting, did you mean JOBLEDGER_POLICY_STALL_MS?',
    ],
    [{ JOBLEDGER_ZEBRA_CROSSING: '1' }, 'JOBLEDGER_ZEBRA_CROSSING: no such setting'],
    [{ JOBLEDGER_PORT: 'abc' }, 'JOBLEDGER_PORT: expected a whole number from 0 to 65535, not "abc"'],
    [{ JOBLEDGER_PORT: '65536' }, 'JOBLEDGER_PORT: expected a whole number from 0 to 65535, not "65536"'],
    [{ JOBLEDGER_PORT: '8e3' }, 'JOBLEDGER_PORT: expected a whole number from 0 to 65535, not "8e3"'],
    [{ JOBLEDGER_PORT: '-1' }, 'JOBLEDGER_PORT: expected a whole number from 0 to 65535, not "-1"'],
    [{ JOBLEDGER_PORT: '1\n2' }, 'JOBLEDGER_PORT: expected a whole number from 0 to 65535, not "1\\n2"'],
    [
      { JOBLEDGER_REAPER_INTERVAL_MS: '99' },
      'JOBLEDGER_REAPER_INTERVAL_MS: expected whole milliseconds from 100 to 86400000, not "99"',
    ],
    [
      { JOBLEDGER_IDEMPOTENCY_MS: '86399999' },
      'JOBLEDGER_IDEMPOTENCY_MS: expected whole milliseconds from 86400000 to 315360000000, not "86399999"',
    ],
    [{ JOBLEDGER_PRESET: 'lynx' }, 'JOBLEDGER_PRESET: expected one of protea, antenna, beacon, not "lynx"'],
    [{ JOBLEDGER_RUN: 'api,web' }, 'JOBLEDGER_RUN: expected one or more of api,projections,reaper, not "api,web"'],
    [{ JOBLEDGER_RUN: ',' }, 'JOBLEDGER_RUN: expected one or more of api,projections,reaper, not ","'],
    [{ JOBLEDGER_LOG_LEVEL: 'loud' }, /^JOBLEDGER_LOG_LEVEL: expected one of trace, debug, /],
    [
      { JOBLEDGER_POLICY_TIMEOUT_MS: '50' },
      'JOBLEDGER_POLICY_TIMEOUT_MS: expected 0 or whole milliseconds from 100 to 315360000000, not "50"',
    ],
    [
      { JOBLEDGER_POLICY_LEASE_MS: '0' },
      /^JOBLEDGER_POLICY_LEASE_MS: expected whole milliseconds from 100 to 86400000/,
    ],
    [
      { JOBLEDGER_POLICY_RETRY_JITTER: '1.1' },
      /^JOBLEDGER_POLICY_RETRY_JITTER: expected a number from 0 to 1, not "1.1"$/,
    ],
    [{ JOBLEDGER_POLICY_ON_STALE: 'hope' }, /^JOBLEDGER_POLICY_ON_STALE: expected one of fail, requeue, cancel/],
    [{ JOBLEDGER_POLICY_COMPLETION_COMPARATOR: '<' }, /^JOBLEDGER_POLICY_COMPLETION_COMPARATOR: expected one of >=, >/],
    [{ JOBLEDGER_EVENT_STORE: 'mysql' }, 'JOBLEDGER_EVENT_STORE: expected one of postgres, eventstoredb, not "mysql"'],
  ])('when %j', (env, message) => {
    const said = refusal(env);
    if (typeof message === 'string') expect(said).toBe(message);
    else expect(said).toMatch(message);
  });

  it.each(['0.0.0.0', '::', '127.0.0.1.example.org', '10.0.0.1'])('when it is to listen on %s without keys', (host) => {
    expect(refusal({ JOBLEDGER_HOST: host })).toBe(
      `JOBLEDGER_HOST: expected a loopback address, not "${host}": without API keys (JOBLEDGER_API_KEYS) anybody could do anything`,
    );
    const config = load({ JOBLEDGER_HOST: host, JOBLEDGER_API_KEYS: 'keys.yaml' });
    expect(config).toMatchObject({ host, apiKeys: join(cwd, 'keys.yaml') });
    expect(described(config, 'JOBLEDGER_API_KEYS')).toMatchObject({ value: join(cwd, 'keys.yaml'), source: 'env' });
  });

  it('when two spellings of a name disagree', () => {
    expect(refusal({ JOBLEDGER_PORT: '1', jobledger_port: '2' })).toMatch(/is also given as .* with another value$/);
    expect(load({ JOBLEDGER_PORT: '1', jobledger_port: '1' }).port).toBe(1);
  });

  it.each([
    ['prot: 1', /^JOBLEDGER_PROT \(in .*jobledger\.yaml\): no such setting, did you mean JOBLEDGER_PORT\?$/],
    [
      'policy: { retry: { initial: 5 } }',
      /^JOBLEDGER_POLICY_RETRY_INITIAL .*did you mean JOBLEDGER_POLICY_RETRY_INITIAL_MS\?$/,
    ],
    ['port: many', /^JOBLEDGER_PORT \(in .*\): expected a whole number from 0 to 65535, not "many"$/],
    ['port: 1.5', /^JOBLEDGER_PORT \(in /],
    ['- port', /: expected settings by name$/],
    ['port: [', /: not YAML: /],
    ['config: other.yaml', /^JOBLEDGER_CONFIG \(in .*\): no such setting/],
  ])('when the file says %j', (content, message) => {
    file(content);
    expect(refusal({})).toMatch(message);
  });
});

describe('the log', () => {
  const elsewhere = { JOBLEDGER_EVENT_STORE: 'eventstoredb' };
  const at = (url: string) => ({ ...elsewhere, JOBLEDGER_EVENTSTOREDB_URL: url });

  it.each([
    'esdb://localhost:2113?tls=false',
    'esdb+discover://cluster.example:2113',
    'esdb://admin:changeit@a:2113,b:2113,c:2113/?tlsCAFile=/etc/ca.crt&nodePreference=leader',
    'kurrentdb://localhost:2113',
  ])('is the one of %s', (url) => {
    expect(load(at(url)).eventStoreDbUrl).toBe(url);
  });

  it.each(['http://localhost:2113', 'esdb:/localhost', 'esdb://', 'esdb://local host', 'esdb://?tls=false'])(
    'is none of %j, and the refusal does not repeat it',
    (url) => {
      expect(refusal(at(url))).toBe(
        'JOBLEDGER_EVENTSTOREDB_URL: expected a connection string like esdb://user:password@host:2113?tls=true or kurrentdb://host:2113',
      );
    },
  );

  it('is said by both settings, or by none', () => {
    expect(refusal(elsewhere)).toMatch(
      /^JOBLEDGER_EVENTSTOREDB_URL: expected .*, since JOBLEDGER_EVENT_STORE is "eventstoredb"$/,
    );
    expect(refusal({ JOBLEDGER_EVENTSTOREDB_URL: 'esdb://a:2113' })).toMatch(
      /^JOBLEDGER_EVENTSTOREDB_URL: is set, and JOBLEDGER_EVENT_STORE is "postgres"/,
    );
  });

  it.each([
    ['esdb://admin:hunter2@a:2113,b:2113?tls=true', 'esdb://admin:***@a:2113,b:2113?tls=true'],
    ['esdb+discover://admin:hunt@er2@a', 'esdb+discover://admin:***@a'],
    ['esdb://hunter2@a', 'esdb://***@a'],
    ['kurrentdb://a:2113', 'kurrentdb://a:2113'],
  ])('is described without its password: %s', (url, shown) => {
    const row = described(load(at(url)), 'JOBLEDGER_EVENTSTOREDB_URL');
    expect(row).toMatchObject({ value: shown, source: 'env' });
  });
});

describe('the documentation', () => {
  it('has every setting in the table of README', () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const rows = readme.split('\n').filter((line) => line.startsWith('| `JOBLEDGER_'));
    const named = rows.flatMap((row) =>
      [...row.split('|')[1]!.matchAll(/`JOBLEDGER_([A-Z_]+)`/g)].map(([, name]) => name),
    );
    expect(named.sort()).toEqual(Object.keys(SETTINGS).sort());
  });

  it('has where the log is in the help of start', () => {
    expect(commandHelp(start)).toMatch(/JOBLEDGER_EVENT_STORE, JOBLEDGER_EVENTSTOREDB_URL/);
  });
});

describe('secrets', () => {
  const env = {
    JOBLEDGER_SECRET: 'correct horse battery',
    JOBLEDGER_DATABASE_URL: 'postgres://app:hunter2@db:5432/ledger?password=hunter3&sslmode=require',
  };

  it('reach the service and not its description', () => {
    const config = load(env);
    expect(config.secret).toBe('correct horse battery');
    expect(config.databaseUrl).toContain('hunter2');
    const shown = JSON.stringify(describeConfig(config));
    expect(shown).not.toMatch(/correct horse|hunter/);
    expect(described(config, 'JOBLEDGER_DATABASE_URL')).toMatchObject({
      value: 'postgres://app:***@db:5432/ledger?password=***&sslmode=require',
      source: 'env',
    });
    expect(described(config, 'JOBLEDGER_SECRET')).toMatchObject({ value: '***', source: 'env' });
  });

  it('are not repeated by a refusal', () => {
    expect(refusal({ JOBLEDGER_SECRET: 'hunter2' })).toBe('JOBLEDGER_SECRET: expected at least 16 characters');
    expect(refusal({ JOBLEDGER_DATABASE_URL: 'mysql://app:hunter2@db/x' })).toBe(
      'JOBLEDGER_DATABASE_URL: expected a URL like postgresql://user:password@host:5432/database',
    );
  });
});

describe('the default data folder', () => {
  it('is in the project when it is a clone', () => {
    expect(defaultDataDir({}, cwd)).toBe(join(cwd, '.data/postgres'));
  });

  it('is one of the user when the project is installed as a dependency', () => {
    const installed = join(cwd, 'node_modules/jobledger');
    mkdirSync(installed, { recursive: true });
    expect(defaultDataDir({ XDG_DATA_HOME: '/data' }, installed, 'linux')).toBe('/data/jobledger/postgres');
    expect(defaultDataDir({ XDG_DATA_HOME: 'data' }, installed, 'linux')).toMatch(
      /^\/.*\/\.local\/share\/jobledger\/postgres$/,
    );
    expect(defaultDataDir({}, installed, 'darwin')).toMatch(/\/Library\/Application Support\/jobledger\/postgres$/);
    expect(defaultDataDir({ LOCALAPPDATA: '/local' }, installed, 'win32')).toBe('/local/jobledger/postgres');
  });

  it('is one of the user when the project cannot be written', () => {
    // Root may write anywhere; what no longer is there, nobody may.
    const closed = join(cwd, 'closed');
    if (process.getuid?.() !== 0) {
      mkdirSync(closed);
      chmodSync(closed, 0o500);
    }
    expect(defaultDataDir({ XDG_DATA_HOME: '/data' }, closed, 'linux')).toBe('/data/jobledger/postgres');
  });
});

describe('an address', () => {
  const error = (code: string) => Object.assign(new Error(code), { code });

  it.each([
    ['EACCES', 'JOBLEDGER_PORT'],
    ['EADDRNOTAVAIL', 'JOBLEDGER_HOST'],
    ['ENOTFOUND', 'JOBLEDGER_HOST'],
  ])('that this process can never have is a wrong setting: %s', (code, name) => {
    const named = namingTheAddress({ host: 'x', port: 80 }, error(code));
    expect(named).toBeInstanceOf(ConfigError);
    expect((named as Error).message).toContain(name);
  });

  it('that another program has may be free later: no wrong setting', () => {
    const named = namingTheAddress({ host: 'x', port: 80 }, error('EADDRINUSE'));
    expect(named).not.toBeInstanceOf(ConfigError);
    expect((named as Error).message).toContain('JOBLEDGER_PORT');
  });
});

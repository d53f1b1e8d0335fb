/** `docker-compose.yml`, as far as it can be judged without a container engine. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config.js';

interface ComposeService {
  readonly image: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
}

interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const text = readFileSync(new URL('../../docker-compose.yml', import.meta.url), 'utf8');
const { services, volumes } = parse(text, { merge: true }) as Compose;
const ours = Object.entries(services).filter(([, { image }]) => image.startsWith('jobledger:'));
/** As Compose puts in what the environment does not say. */
const withDefaults = (value: string): string => value.replace(/\$\{\w+:-([^}]*)\}/g, '$1');
const settingsOf = ({ environment }: ComposeService) =>
  Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, withDefaults(value)]));

describe('the compose file', () => {
  it('runs two processes that answer and one that reaps, on one database and one log, each with a port of its own', () => {
    const configs = ours.map(([, service]) => loadConfig(settingsOf(service), import.meta.dirname));
    expect(configs.map(({ run }) => run)).toEqual([['api', 'projections'], ['api', 'projections'], ['reaper']]);
    expect(new Set(configs.map(({ port }) => port)).size).toBe(3);
    expect(new Set(configs.map(({ databaseUrl }) => databaseUrl)).size).toBe(1);
    expect(new Set(configs.map(({ eventStoreDbUrl }) => eventStoreDbUrl))).toEqual(
      new Set(['esdb://127.0.0.1:2113?tls=false']),
    );
  });

  it('names the password and the port of its own PostgreSQL', () => {
    const [, service] = ours[0]!;
    const url = new URL(settingsOf(service)['JOBLEDGER_DATABASE_URL']!);
    const { environment, ports } = services['postgres']!;
    expect(url.password).toBe(withDefaults(environment['POSTGRES_PASSWORD']!));
    expect(url.username).toBe(environment['POSTGRES_USER']);
    expect(url.pathname).toBe(`/${environment['POSTGRES_DB']}`);
    expect(ports).toEqual([`127.0.0.1:${url.port}:5432`]);
  });

  it('waits for servers that say that they are healthy', () => {
    for (const [, { depends_on: needs = {} }] of ours) {
      expect(Object.keys(needs).sort()).toEqual(['kurrentdb', 'postgres']);
      for (const [name, { condition }] of Object.entries(needs)) {
        expect(condition).toBe('service_healthy');
        expect(services[name]?.healthcheck?.test[0]).toBe('CMD-SHELL');
      }
    }
  });

  it('fixes the versions, keeps data in volumes, and opens ports of loopback alone', () => {
    for (const { image, ports = [], volumes: used = [] } of Object.values(services)) {
      expect(image).toMatch(/:(local|\d+\.\d+(\.\d+)?(-\w+)?)$/);
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
      for (const volume of used) expect(Object.keys(volumes)).toContain(volume.split(':')[0]);
    }
    expect(Object.keys(volumes)).toEqual(['postgres-data', 'kurrentdb-data']);
  });
});

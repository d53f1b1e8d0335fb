/** The real application on a database of its own, listening on a free port of loopback. */
import type { AddressInfo } from 'node:net';
import { ConsoleLogger } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { ApiKeys } from '../../src/api/keys/api-keys.js';
import { Shutdown } from '../../src/api/shutdown.js';
import { SERVICE } from '../../src/app.module.js';
import { createApplication } from '../../src/application.js';
import type { Duty } from '../../src/config.js';
import { PRESETS, type Policy } from '../../src/domain/policy.js';
import type { SweepReport } from '../../src/reaper/sweep.js';
import type { Service, ServiceOptions } from '../../src/service.js';
import { waitFor } from './e2e/wait.js';
import { options } from './ledger.js';
import { createTestDatabase } from './test-database.js';
import { logOptions, stopLog } from './test-log.js';

export interface AppOverrides {
  readonly policy?: Partial<Policy>;
  readonly service?: Partial<ServiceOptions>;
  /** Default: all but the reaper, which sweeps when asked. */
  readonly run?: readonly Duty[];
  /** Default: nobody needs a key. */
  readonly keys?: ApiKeys;
  /** An existing database; it is not dropped. */
  readonly databaseUrl?: string;
}

export interface TestApp {
  readonly url: string;
  readonly databaseUrl: string;
  readonly app: NestFastifyApplication;
  readonly service: Service;
  readonly close: () => Promise<void>;
}

const failuresOnly = new ConsoleLogger({ logLevels: ['error', 'fatal'] });

export const startApp = async (overrides: AppOverrides = {}): Promise<TestApp> => {
  const database = overrides.databaseUrl === undefined ? await createTestDatabase() : undefined;
  const databaseUrl = overrides.databaseUrl ?? database?.url ?? '';
  const policy = { ...PRESETS.protea, ...overrides.policy };
  const app = await createApplication({
    service: options(databaseUrl, { policy, ...(await logOptions(databaseUrl)), ...overrides.service }),
    run: overrides.run ?? ['api', 'projections'],
    shutdown: new Shutdown(),
    keys: overrides.keys ?? null,
    settings: { settings: [] },
    version: '0.0.0',
    logger: failuresOnly,
  });
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    databaseUrl,
    app,
    service: app.get<Service>(SERVICE),
    close: async () => {
      await app.close();
      if (database !== undefined) await stopLog(databaseUrl);
      await database?.drop();
    },
  };
};

/* eslint-disable @typescript-eslint/no-explicit-any -- a test looks into answers by name. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: any;
}

export interface SendOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Plain calls of an application. */
export class Caller {
  constructor(private readonly url: string) {}

  get(path: string, options: SendOptions = {}): Promise<Answer> {
    return this.send('GET', path, undefined, options);
  }

  post(path: string, body: unknown = {}, options: SendOptions = {}): Promise<Answer> {
    return this.send('POST', path, body, options);
  }

  async send(method: string, path: string, body?: unknown, { headers, signal }: SendOptions = {}): Promise<Answer> {
    const answer = await fetch(`${this.url}${path}`, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: text === '' ? null : JSON.parse(text) };
  }

  /** A new job. */
  async create(over: object = {}): Promise<any> {
    const { status, body } = await this.post('/v1/jobs', { type: 'report', ...over });
    if (status !== 201) throw new Error(`create answered ${status}: ${JSON.stringify(body)}`);
    return body;
  }

  /** The first job that a claim of the queue gives. */
  async claim(queue: string, over: object = {}): Promise<any> {
    const { status, body } = await this.post('/v1/claims', { workerId: 'w1', queues: [queue], ...over });
    if (status !== 200) throw new Error(`claim answered ${status}: ${JSON.stringify(body)}`);
    return body.jobs[0];
  }

  /**
   * Asks without doing anything until a sweep would act on all of these. Past the `leaseExpiresAt` that a claim answered
   * it may not yet: the lease itself ends by the database's clock, a moment after what its worker is told.
   */
  untilDue(ids: readonly string[]): Promise<true> {
    return waitFor(`${ids.length} jobs to be due`, async () => {
      const { status, body } = await this.post('/v1/admin/reaper/sweep', { dryRun: true });
      if (status !== 200) throw new Error(`sweep answered ${status}: ${JSON.stringify(body)}`);
      const { jobs } = body as SweepReport;
      const due = new Set(jobs.filter(({ verdict }) => verdict !== 'live').map(({ jobId }) => jobId));
      return ids.every((id) => due.has(id));
    });
  }

  /** A worker call with the token of a claimed job. */
  worker({ job, leaseToken }: any, call: string, body: object = {}, options: SendOptions = {}): Promise<Answer> {
    return this.post(`/v1/jobs/${job.id}/${call}`, { leaseToken, ...body }, options);
  }
}

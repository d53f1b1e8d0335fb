import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, Get, Module, Param, Post, Query } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { createHttpAdapter } from '../../src/api/http-server.js';
import { serveDocumentation } from '../../src/api/documentation.js';
import { createJob, createJobs } from '../../src/api/requests/create.js';
import * as commands from '../../src/api/requests/job-commands.js';
import { jobId } from '../../src/api/requests/paths.js';
import * as queries from '../../src/api/requests/queries.js';
import * as worker from '../../src/api/requests/worker-calls.js';

@Controller('v1')
class Described {
  @Post('jobs')
  create(@Body({ schema: createJob }) _body: unknown): void {
    // Only described.
  }
  @Post('jobs/batch')
  batch(@Body({ schema: createJobs }) _body: unknown): void {
    // Only described.
  }
  @Get('jobs')
  list(@Query({ schema: queries.listJobs }) _query: unknown): void {
    // Only described.
  }
  @Get('jobs/:id')
  get(@Param('id', { schema: jobId }) _id: string, @Query({ schema: queries.getJob }) _query: unknown): void {
    // Only described.
  }
  @Post('jobs/:id/progress')
  progress(@Param('id', { schema: jobId }) _id: string, @Body({ schema: worker.progress }) _body: unknown): void {
    // Only described.
  }
}

@Module({ controllers: [Described] })
class DescribedModule {}

let app: NestFastifyApplication;
/* eslint-disable @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-argument,
   @typescript-eslint/no-unsafe-return -- a JSON document is looked into by name. */
let document: any;

beforeAll(async () => {
  const module = await Test.createTestingModule({ imports: [DescribedModule] }).compile();
  app = module.createNestApplication<NestFastifyApplication>(createHttpAdapter());
  app.useLogger(false);
  serveDocumentation(app, '1.2.3');
  await app.init();
  await app.getHttpAdapter().getInstance().ready();
  document = (await app.inject({ url: '/openapi.json' })).json();
});

afterAll(() => app.close());

describe('the OpenAPI document', () => {
  it('is of version 3.1, and open to every reference in it', () => {
    expect(document).toMatchObject({ openapi: '3.1.0', info: { title: 'Jobledger', version: '1.2.3' } });
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)];
    expect(references.map(([, name]) => name).filter((name) => !(name! in document.components.schemas))).toEqual([]);
    expect(references.length).toBeGreaterThan(5);
  });

  it('describes bodies by the schemas that judge them', () => {
    const body = document.paths['/v1/jobs'].post.requestBody.content['application/json'].schema;
    expect(body).toEqual({ $ref: '#/components/schemas/CreateJobRequest' });
    const { properties, required, additionalProperties } = document.components.schemas.CreateJobRequest;
    expect([required, additionalProperties]).toEqual([['type'], false]);
    expect(properties).toMatchObject({
      type: { type: 'string', pattern: expect.stringContaining('{1,120}') },
      priority: { type: 'integer', minimum: -1000, maximum: 1000, default: 0 },
      availableAt: { type: 'string', format: 'date-time' },
      reason: { type: 'string', minLength: 1, maxLength: 4000 },
      tags: { type: 'array', maxItems: 20 },
      policy: { $ref: '#/components/schemas/PolicyOverrides' },
      preset: { enum: ['protea', 'antenna', 'beacon'] },
    });
    expect(document.components.schemas.PolicyOverrides.properties).toMatchObject({
      stallMs: { type: 'integer', minimum: 0 },
      retry: { properties: { jitter: { type: 'number', minimum: 0, maximum: 1 } } },
    });
    expect(document.components.schemas.CreateJobsRequest.properties.jobs.items).toEqual(body);
    expect(document.components.schemas.ProgressRequest.required).toEqual(['leaseToken', 'batchId']);
  });

  it('leaves out what is not built', () => {
    expect(document.components.schemas.CreateJobRequest.properties).not.toHaveProperty('items');
    expect(JSON.stringify(document)).not.toContain('"not":{}');
    expect(document.paths['/v1/jobs'].get.parameters.map((each: any) => each.name)).not.toContain('parentId');
  });

  it('says of every list what it holds, which linters and generators ask for', () => {
    const schemas: any[] = [];
    JSON.stringify(document, (_key, value) => {
      if (value?.type === 'array') schemas.push(value);
      return value;
    });
    expect(schemas.filter((schema) => !('items' in schema))).toEqual([]);
    expect(schemas.length).toBeGreaterThan(20);
  });

  it('says of a field within another what it means there', () => {
    const { LedgerEvent, Ready, ClaimAnswer, LogRow, Policy } = document.components.schemas;
    const { type, id } = LedgerEvent.properties.actor.properties;
    expect([LedgerEvent.properties.type.description, type.description, id.description]).toEqual([
      'As `JobCreated`, `JobClaimed`, `ProgressRecorded`, `JobCompleted`. More may come.',
      'What kind of caller did it.',
      'Name that a worker gave itself, id of an API key or of an instance.',
    ]);
    expect(Ready.properties.checks.additionalProperties.properties.detail.description).toMatch(/in words/);
    expect(ClaimAnswer.properties.blocked.items.properties.queue.description).toBe('The queue that gives none.');
    expect(LogRow.properties.at.description).toMatch(/^When the worker wrote it/);
    for (const field of ['created', 'queued', 'claimed', 'running']) {
      expect(Policy.properties[`${field}AlertMs`].description).toMatch(/not built yet/);
    }
  });

  it('describes parameters', () => {
    const parameters = document.paths['/v1/jobs'].get.parameters as any[];
    const of = (name: string): any => parameters.find((each) => each.name === name);
    expect(of('limit')).toMatchObject({
      in: 'query',
      required: false,
      schema: { type: 'integer', minimum: 1, maximum: 200 },
    });
    expect(of('status')).toMatchObject({ schema: { type: 'array', items: { type: 'string' } } });
    expect(of('sort').schema).toMatchObject({ default: '-createdAt' });
    expect(of('deadLettered').schema).toMatchObject({ type: 'boolean' });
    expect(document.paths['/v1/jobs/{id}'].get.parameters[0]).toMatchObject({ name: 'id', in: 'path', required: true });
  });

  it('says with what problems each call may be answered', () => {
    const statusesOf = (path: string, method: string): string[] => Object.keys(document.paths[path][method].responses);
    expect(statusesOf('/v1/jobs', 'get')).toEqual(['200', '400', '401', '403', '500', '501', '503']);
    expect(statusesOf('/v1/jobs', 'post')).toEqual([
      '201',
      '400',
      '401',
      '403',
      '413',
      '415',
      '422',
      '500',
      '501',
      '503',
    ]);
    expect(statusesOf('/v1/jobs/{id}/progress', 'post')).toEqual([
      '201',
      '400',
      '401',
      '403',
      '404',
      '409',
      '410',
      '412',
      '413',
      '415',
      '422',
      '500',
      '501',
      '503',
    ]);
    expect(document.paths['/v1/jobs/{id}/progress'].post.responses['409']).toMatchObject({
      description: expect.stringMatching(/stale_lease.*already_terminal/),
      content: { 'application/problem+json': { schema: { allOf: [{ $ref: '#/components/schemas/Problem' }, {}] } } },
    });
  });

  it('gives every body a component of its own', () => {
    const schemas = Object.values({ createJob, createJobs, ...commands, ...worker }).filter(
      (each) => typeof each === 'object',
    );
    const ids = schemas.map((schema) => schema.meta()?.id);
    expect(ids.every((id) => typeof id === 'string' && id.endsWith('Request'))).toBe(true);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('the page', () => {
  it('loads nothing from elsewhere', async () => {
    const page = await app.inject({ url: '/docs' });
    expect([page.statusCode, page.headers['content-type']]).toEqual([200, expect.stringMatching(/^text\/html/)]);
    const assets = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => url!);
    expect(assets.length).toBeGreaterThan(3);
    for (const url of assets) {
      expect(url).toMatch(/^\.\/docs\//);
      const asset = await app.inject({ url: url.slice(1) });
      expect([url, asset.statusCode]).toEqual([url, 200]);
    }
    expect((await app.inject({ url: '/docs/swagger-ui-init.js' })).body).toContain('"validatorUrl": null');
  });

  it('answers as every other call does: with the request id, and a problem where nothing is', async () => {
    const headers = { 'x-request-id': 'mine' };
    const answers = [];
    for (const url of ['/openapi.json', '/docs', '/docs/nothing', '/docs/a/b']) {
      const { statusCode, headers: of } = await app.inject({ url, headers });
      answers.push([url, statusCode, of['content-type'], of['x-request-id']]);
    }
    expect(answers).toEqual([
      ['/openapi.json', 200, 'application/json; charset=utf-8', 'mine'],
      ['/docs', 200, 'text/html', 'mine'],
      ['/docs/nothing', 404, 'application/problem+json; charset=utf-8', 'mine'],
      ['/docs/a/b', 404, 'application/problem+json; charset=utf-8', 'mine'],
    ]);
  });
});

import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import {
  Body,
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  HttpCode,
  Logger,
  Module,
  Param,
  Post,
  Query,
  Req,
  ServiceUnavailableException,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_PIPE } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';
import { IllegalTransition } from '../../src/domain/errors.js';
import { createHttpAdapter, type HttpServerOptions } from '../../src/api/http-server.js';
import { serveDocumentation } from '../../src/api/documentation.js';
import { conflict, Problem, unavailable } from '../../src/api/problem.js';
import { ProblemFilter } from '../../src/api/problem.filter.js';
import { QueryGuard } from '../../src/api/query.guard.js';
import type { RequestBody } from '../../src/api/request-body.js';
import { RequestPipe } from '../../src/api/request.pipe.js';
import { createJob, type CreateJobBody } from '../../src/api/requests/create.js';
import { cancelJob, type CancelJobBody } from '../../src/api/requests/job-commands.js';
import { jobId } from '../../src/api/requests/paths.js';
import { listJobs, type ListJobsQuery } from '../../src/api/requests/queries.js';

class KeyGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { authorization } = context.switchToHttp().getRequest<FastifyRequest>().headers;
    if (authorization === 'nobody') throw new Problem('unauthenticated', 'an API key is needed');
    if (authorization === 'other') throw new Problem('forbidden', 'not with this key');
    return true;
  }
}

/** Released by a test: an answer that is under way for as long as it likes. */
let held: { readonly reached: () => void; readonly release: Promise<void> } | undefined;

@Controller('v1')
class JobsController {
  @Get('jobs')
  list(@Query({ schema: listJobs }) query: ListJobsQuery): unknown {
    return query;
  }

  @Post('jobs')
  create(@Body({ schema: createJob }) body: CreateJobBody, @Req() request: FastifyRequest): unknown {
    return { body, sent: (request.body as RequestBody).value };
  }

  @Get('jobs/:id')
  get(@Param('id', { schema: jobId }) id: string): unknown {
    return { id };
  }

  @Post('jobs/:id/cancel')
  @HttpCode(200)
  cancel(@Body({ schema: cancelJob }) body: CancelJobBody): unknown {
    return body;
  }

  @Get('queues/:name')
  queue(@Param('name') name: string): unknown {
    return { name };
  }

  @Get('fail/:how')
  async fail(@Param('how') how: string): Promise<unknown> {
    if (how === 'refused') throw new IllegalTransition('complete', 'queued');
    if (how === 'conflict') {
      throw conflict('stale_lease', 'not yours', 'fail', { status: 'queued', run: 1, attempt: 2, revision: 7 });
    }
    if (how === 'busy') throw unavailable('too many commands wait', 2.2);
    if (how === 'nest') throw new ServiceUnavailableException('secret host 10.0.0.1');
    if (how === 'held') {
      held?.reached();
      await held?.release;
      return { ok: true };
    }
    throw new Error('password of the database');
  }
}

@Module({
  controllers: [JobsController],
  providers: [
    { provide: APP_GUARD, useClass: KeyGuard },
    { provide: APP_GUARD, useClass: QueryGuard },
    { provide: APP_PIPE, useClass: RequestPipe },
    { provide: APP_FILTER, useClass: ProblemFilter },
  ],
})
class EdgeModule {}

let app: NestFastifyApplication | undefined;

const start = async (options?: HttpServerOptions): Promise<NestFastifyApplication> => {
  const module = await Test.createTestingModule({ imports: [EdgeModule] }).compile();
  app = module.createNestApplication<NestFastifyApplication>(createHttpAdapter(options));
  app.useLogger(false);
  serveDocumentation(app, '0.0.0');
  await app.init();
  await app.getHttpAdapter().getInstance().ready();
  return app;
};

const listen = async (): Promise<number> => {
  await app!.listen(0, '127.0.0.1');
  return (app!.getHttpServer().address() as AddressInfo).port;
};

afterEach(async () => {
  await app?.close();
  app = undefined;
});

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD' | 'OPTIONS';

interface Call {
  readonly method?: Method;
  readonly url: string;
  readonly headers?: Record<string, string>;
  readonly payload?: string | Buffer;
}

const json = { 'content-type': 'application/json' };

const call = async ({ method = 'GET', ...rest }: Call) => {
  const answer = await app!.inject({ method, ...rest });
  const body = answer.body === '' ? null : answer.json();
  return { status: answer.statusCode, headers: answer.headers, body, code: body?.code as string | undefined };
};

describe('what comes first', () => {
  const everythingWrong = {
    headers: { authorization: 'nobody', 'content-type': 'text/plain' },
    payload: 'x'.repeat(2_000),
  };

  it.each<[string, Call, number, string]>([
    ['an unknown path', { method: 'POST', url: '/v1/nothing', ...everythingWrong }, 404, 'not_found'],
    ['a path below a job', { method: 'POST', url: '/v1/jobs/1/nothing', ...everythingWrong }, 404, 'not_found'],
    ['a trailing slash', { url: '/v1/jobs/' }, 404, 'not_found'],
    ['a reserved path', { method: 'POST', url: '/v1/alerts', ...everythingWrong }, 501, 'not_implemented'],
    ['a reserved path, any method', { method: 'DELETE', url: '/v1/schedules/7' }, 501, 'not_implemented'],
    ['a path with a colon', { method: 'POST', url: '/v1/admin/jobs:cancel?x=1' }, 501, 'not_implemented'],
    ['a colon is no parameter', { method: 'POST', url: '/v1/admin/jobsxcancel' }, 404, 'not_found'],
    ['a reserved method', { method: 'DELETE', url: '/v1/jobs/1', ...everythingWrong }, 501, 'not_implemented'],
    ['a reserved method of a built path', { method: 'PUT', url: '/v1/queues/a' }, 501, 'not_implemented'],
    ['a method the path has not', { method: 'PATCH', url: '/v1/jobs', ...everythingWrong }, 405, 'method_not_allowed'],
    ['the size', { method: 'POST', url: '/v1/jobs', ...everythingWrong }, 413, 'payload_too_large'],
    [
      'the media type',
      { method: 'POST', url: '/v1/jobs', headers: everythingWrong.headers, payload: '{' },
      415,
      'unsupported_media_type',
    ],
    ['no media type', { method: 'POST', url: '/v1/jobs', payload: Buffer.from('{}') }, 415, 'unsupported_media_type'],
    [
      'another charset',
      {
        method: 'POST',
        url: '/v1/jobs',
        headers: { 'content-type': 'application/json; charset=latin1' },
        payload: '{}',
      },
      415,
      'unsupported_media_type',
    ],
    [
      'a compressed body',
      { method: 'POST', url: '/v1/jobs', headers: { ...json, 'content-encoding': 'gzip' }, payload: '{}' },
      415,
      'unsupported_media_type',
    ],
    [
      'a broken media type',
      { method: 'POST', url: '/v1/jobs', headers: { 'content-type': 'nonsense' }, payload: '{}' },
      415,
      'unsupported_media_type',
    ],
    [
      'no key',
      { method: 'POST', url: '/v1/jobs', headers: { ...json, authorization: 'nobody' }, payload: '{' },
      401,
      'unauthenticated',
    ],
    [
      'a key without the role',
      { method: 'POST', url: '/v1/jobs?x=1', headers: { ...json, authorization: 'other' }, payload: '{' },
      403,
      'forbidden',
    ],
    [
      'the text of the body',
      { method: 'POST', url: '/v1/jobs', headers: json, payload: '{' },
      400,
      'validation_failed',
    ],
    [
      'the fields of the body',
      { method: 'POST', url: '/v1/jobs', headers: json, payload: '{}' },
      400,
      'validation_failed',
    ],
    [
      'a field not yet built',
      { method: 'POST', url: '/v1/jobs', headers: json, payload: '{"items":[]}' },
      501,
      'not_implemented',
    ],
    ['an unknown parameter of a list', { url: '/v1/jobs?limits=1' }, 400, 'validation_failed'],
    [
      'a parameter where none is taken',
      { url: '/v1/jobs/0190a000-0000-7000-8000-00000000000f?x=1' },
      400,
      'validation_failed',
    ],
    ['an id that is none', { url: '/v1/jobs/nonsense' }, 404, 'not_found'],
    ['a broken escape', { url: '/v1/jobs/%zz' }, 400, 'validation_failed'],
    ['an endless parameter', { url: `/v1/jobs/${'x'.repeat(400)}` }, 404, 'not_found'],
    ['an empty parameter', { method: 'POST', url: '/v1/jobs//cancel' }, 404, 'not_found'],
  ])('%s', async (_name, request, status, code) => {
    await start({ maxBodyBytes: 1_000 });
    const answer = await call(request);
    expect({ status: answer.status, code: answer.code }).toEqual({ status, code });
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(answer.body).toMatchObject({
      type: `urn:jobledger:problem:${code}`,
      title: expect.any(String),
      status,
      detail: expect.stringMatching(/./),
    });
  });

  it('names the methods that a path has', async () => {
    await start();
    expect((await call({ method: 'PATCH', url: '/v1/jobs' })).headers['allow']).toBe('GET, HEAD, POST');
    expect((await call({ method: 'OPTIONS', url: '/v1/jobs/1/cancel' })).headers['allow']).toBe('POST');
  });

  it('is not disturbed by a table that names what is built', async () => {
    const notBuilt = [{ methods: ['GET'], path: '/v1/jobs/:jobId', part: 'jobs' }];
    await expect(start({ notBuilt })).rejects.toThrow(/\/v1\/jobs\/:id is built: take it out/);
    app = undefined;
  });

  it('refuses a body that turns out too large only while it arrives', async () => {
    await start({ maxBodyBytes: 1_000 });
    const port = await listen();
    const chunks = new ReadableStream({
      start(controller) {
        controller.enqueue(new Uint8Array(800));
        controller.enqueue(new Uint8Array(800));
        controller.close();
      },
    });
    const answer = await fetch(`http://127.0.0.1:${port}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: chunks,
      duplex: 'half',
    });
    expect(answer.status).toBe(413);
    expect(await answer.json()).toMatchObject({ code: 'payload_too_large' });
  });
});

describe('a request', () => {
  it('is validated, completed, and kept as it was sent', async () => {
    await start();
    const payload = '{"type":"a","payload":{"__proto__":1}}';
    const answer = await app!.inject({ method: 'POST', url: '/v1/jobs', headers: json, payload });
    expect(answer.statusCode).toBe(201);
    expect(answer.body).toContain('"payload":{"__proto__":1}');
    expect(answer.json().sent).toEqual(JSON.parse(payload));
    expect(answer.json().body).toMatchObject({ queue: 'default', priority: 0 });
  });

  it.each<[string, Partial<Call>]>([
    ['nothing', {}],
    ['an empty body', { headers: json, payload: '' }],
    [
      'an empty form, as curl -d "" sends',
      { headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: '' },
    ],
    ['{} in UTF-8', { headers: { 'content-type': 'Application/JSON; charset="UTF-8"' }, payload: ' {} ' }],
  ])('without required fields takes %s', async (_name, rest) => {
    await start();
    const answer = await call({ method: 'POST', url: '/v1/jobs/1/cancel', ...rest });
    expect(answer).toMatchObject({ status: 200, body: { cascade: true, force: false, reason: null } });
  });

  it('may have parameters that are repeated or escaped', async () => {
    await start();
    expect((await call({ url: '/v1/jobs?status=QUEUED&status=running&tag=a%2Fb' })).body).toMatchObject({
      status: ['queued', 'running'],
      tag: ['a/b'],
    });
    const name = `${'a/'.repeat(59)}bc`;
    expect((await call({ url: `/v1/queues/${encodeURIComponent(name)}` })).body).toEqual({ name });
  });

  it.each([
    ['a', 'a'],
    ['x'.repeat(128), 'x'.repeat(128)],
    ['x'.repeat(129), null],
    ['ü', null],
    ['', null],
  ])('with X-Request-Id %j gets it back, or another', async (given, echoed) => {
    await start();
    for (const url of ['/v1/jobs', '/v1/nothing', '/v1/fail/now', '/v1/jobs/%zz', '/openapi.json']) {
      const { headers } = await call({ url, headers: { 'x-request-id': given } });
      expect(headers['x-request-id']).toEqual(echoed ?? expect.stringMatching(/^[0-9a-f-]{36}$/));
    }
  });

  it.each([
    ['that is no HTTP', 'NONSENSE\r\n\r\n'],
    ['without a host', 'GET /v1/jobs HTTP/1.1\r\nconnection: close\r\n\r\n'],
    ['with a strange expectation', 'GET /v1/jobs HTTP/1.1\r\nhost: localhost\r\nexpect: rain\r\n\r\n'],
    ['that cannot be unescaped', 'GET /v1/jobs/%zz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'],
  ])('%s is answered all the same', async (_name, sent) => {
    await start();
    const socket = connect(await listen(), '127.0.0.1');
    socket.write(sent);
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    const [head = '', body = ''] = Buffer.concat(chunks).toString().split('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1\.1 400 /);
    expect(head).toMatch(/x-request-id: [0-9a-f-]{36}/);
    expect(JSON.parse(body)).toMatchObject({ status: 400, code: 'validation_failed', errors: [expect.anything()] });
  });
});

describe('an error', () => {
  const failing = async (how: string) => {
    await start();
    return call({ url: `/v1/fail/${how}`, headers: { 'x-request-id': 'r-1' } });
  };

  it('of the domain says what was asked and where the job stands', async () => {
    const { status, body } = await failing('refused');
    expect(status).toBe(409);
    expect(body).toMatchObject({
      code: 'illegal_transition',
      from: 'queued',
      command: 'complete',
      jobStatus: 'queued',
    });
  });

  it('about a known job carries its standing', async () => {
    const { status, body } = await failing('conflict');
    expect(status).toBe(409);
    expect(body).toMatchObject({ code: 'stale_lease', jobStatus: 'queued', run: 1, attempt: 2, revision: 7 });
    expect(body).not.toHaveProperty('from');
  });

  it('that passes says when to come back, in whole seconds', async () => {
    const { status, headers } = await failing('busy');
    expect([status, headers['retry-after']]).toEqual([503, '3']);
  });

  it('of the framework tells nothing from inside', async () => {
    const { body, headers } = await failing('nest');
    expect(body).toMatchObject({ status: 503, code: 'unavailable' });
    expect(JSON.stringify(body)).not.toContain('10.0.0.1');
    expect(headers['retry-after']).toBe('1');
  });

  it('that nobody foresaw is 500, tells nothing, and is logged with the request', async () => {
    const logged: unknown[] = [];
    await start();
    Logger.overrideLogger({
      log: () => undefined,
      warn: () => undefined,
      error: (...args: unknown[]) => logged.push(args.join(' ')),
    });
    const { status, body } = await call({ url: '/v1/fail/now', headers: { 'x-request-id': 'r-1' } });
    Logger.overrideLogger(false);
    expect([status, body.code]).toEqual([500, 'internal']);
    expect(JSON.stringify(body)).not.toContain('password');
    expect(logged).toEqual([expect.stringContaining('GET /v1/fail/now, request r-1 failed: password of the database')]);
  });
});

describe('stopping', () => {
  it('refuses what writes, and still reads', async () => {
    let draining = false;
    await start({ isDraining: () => draining });
    draining = true;
    const write = await call({ method: 'POST', url: '/v1/jobs', headers: json, payload: '{"type":"a"}' });
    expect(write).toMatchObject({ status: 503, code: 'unavailable' });
    expect([write.headers['retry-after'], write.headers['connection']]).toEqual(['1', 'close']);
    expect((await call({ url: '/v1/jobs' })).status).toBe(200);
    expect((await call({ method: 'POST', url: '/v1/nothing' })).status).toBe(404);
  });

  it('answers what is under way, and does not wait for idle connections', async () => {
    await start();
    const port = await listen();
    await (await fetch(`http://127.0.0.1:${port}/v1/jobs`)).text();
    let release!: () => void;
    const reached = new Promise<void>((resolve) => {
      held = { reached: resolve, release: new Promise<void>((done) => (release = done)) };
    });
    const answer = fetch(`http://127.0.0.1:${port}/v1/fail/held`);
    await reached;
    const server = app!.getHttpServer();
    const closed = app!.close();
    app = undefined;
    while (server.listening) await new Promise(setImmediate);
    release();
    expect((await answer).status).toBe(200);
    await closed;
  });

  it('gives what is being answered 20 s', async () => {
    await start();
    const reached = new Promise<void>((resolve) => {
      held = { reached: resolve, release: new Promise<void>(() => undefined) };
    });
    const socket = connect(await listen(), '127.0.0.1');
    socket.on('error', () => undefined);
    const arrived = once(app!.getHttpServer(), 'connection');
    socket.write('GET /v1/fail/held HTTP/1.1\r\nhost: localhost\r\n\r\n');
    const [theirs] = (await arrived) as [Socket];
    await reached;
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'performance'] });
    try {
      const closed = app!.close();
      app = undefined;
      while (jest.getTimerCount() < 2) await new Promise(setImmediate);
      await jest.advanceTimersByTimeAsync(19_900);
      expect(theirs.destroyed).toBe(false);
      await jest.advanceTimersByTimeAsync(100);
      await closed;
      expect(theirs.destroyed).toBe(true);
    } finally {
      jest.useRealTimers();
    }
  });

  /** The longest that a timer takes. */
  const NEVER_MS = 2_147_483_647;
  const whole = 'GET /v1/jobs HTTP/1.1\r\nhost: localhost\r\n\r\n';
  const half = 'POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\n';

  it.each([
    ['that said nothing', ''],
    ['with half a head', 'GET /v1/jo'],
    ['with half a body', `${half}content-length: 9\r\n\r\n{`],
    ['with half of a body in chunks', `${half}transfer-encoding: chunked\r\n\r\n1\r\n{\r\n`],
    ['with a body that waits to be asked for', `${half}content-length: 9\r\nexpect: 100-continue\r\n\r\n`],
    ['that was answered', whole],
    ['that was answered, with half a head behind', `${whole}GET /v1/jo`],
  ])('closes a connection %s at once, however long its client stays', async (_name, sent) => {
    await start({ closeLimitMs: NEVER_MS });
    const server = app!.getHttpServer();
    const port = await listen();
    // The client's own half stays open: nothing that it does ends the connection.
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const [theirs] = (await once(server, 'connection')) as [Socket];
    socket.on('error', () => undefined).resume();
    socket.write(sent);
    while (theirs.bytesRead < sent.length) await new Promise(setImmediate);
    while (sent.startsWith(whole) && theirs.bytesWritten === 0) await new Promise(setImmediate);
    await app!.close();
    app = undefined;
    expect([theirs.destroyed, socket.writable]).toEqual([true, true]);
    socket.destroy();
  });

  it('answers a whole request, and closes on the half that follows it', async () => {
    await start({ closeLimitMs: NEVER_MS });
    let release!: () => void;
    const reached = new Promise<void>((resolve) => {
      held = { reached: resolve, release: new Promise<void>((done) => (release = done)) };
    });
    const server = app!.getHttpServer();
    const socket = connect({ port: await listen(), host: '127.0.0.1', allowHalfOpen: true });
    socket.write(`GET /v1/fail/held HTTP/1.1\r\nhost: localhost\r\n\r\n${half}content-length: 9\r\n\r\n{`);
    await reached;
    const closed = app!.close();
    app = undefined;
    while (server.listening) await new Promise(setImmediate);
    release();
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1\.1 200 [^]*{"ok":true}$/);
    await closed;
  });
});

/**
 * The HTTP server in front of Nest: limits, request ids, request bodies, and the refusals that come before any
 * controller. What they cost in order: unknown path 404 (501 when planned), 405, 413, 415; authentication, then the
 * body's content, are judged further inside.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Connections } from './connections.js';
import { NOT_BUILT, type NotBuiltRoute } from './not-built.js';
import {
  type FieldError,
  notFound,
  payloadTooLarge,
  Problem,
  unavailable,
  unsupportedMediaType,
  validationFailed,
} from './problem.js';
import { problemOf } from './problem-of.js';
import { sendProblem } from './problem.filter.js';
import type { Telemetry } from '../telemetry.js';
import { RequestBody } from './request-body.js';
import { REQUEST_ID_HEADER, requestIdOf } from './request-id.js';
import { watchRequests } from './request-watch.js';
import { RouteTable } from './route-table.js';

export interface HttpServerOptions {
  /** Largest request body. Default 16 MiB. */
  readonly maxBodyBytes?: number;
  /** True from the signal to stop on: whatever writes is answered 503 then, and connections end. Default never. */
  readonly isDraining?: () => boolean;
  /** Default `NOT_BUILT`. */
  readonly notBuilt?: readonly NotBuiltRoute[];
  /** Told with the 404 of a path that nothing is at. Default: where the calls are described. */
  readonly nothingThere?: string;
  /** Told of every answer. Default nobody. */
  readonly telemetry?: Telemetry;
  /** Closing cuts what is being answered for longer, ms. Default 20,000: commands are answered or given up by then. */
  readonly closeLimitMs?: number;
}

export const MAX_BODY_BYTES = 16 * 1024 * 1024;

/** Above the 60 s after which common load balancers drop idle connections, so that they do and not we. */
const KEEP_ALIVE_MS = 72_000;
/** For a request to arrive as a whole; answers, long polls and streams may take longer. */
const REQUEST_TIMEOUT_MS = 60_000;
/** Of a path parameter as sent: a name of 120 characters, each escaped as three. */
const MAX_PARAM_CHARS = 360;
/** While closing, connections are answered one by one; waiting out the keep-alive time would delay the exit. */
const CLOSE_UNASKED_EVERY_MS = 50;
/** A reader that takes nothing would hold the process for ever: Node times nothing once it closes. */
const CLOSE_LIMIT_MS = 20_000;
const READING_METHODS: readonly string[] = ['GET', 'HEAD', 'OPTIONS'];

const JSON_WITH_CHARSET = /^application\/json\s*(;\s*charset\s*=\s*"?utf-?8"?\s*)?$/i;

class HttpAdapter extends FastifyAdapter {
  /** Bodies are read by the parsers below; Nest's own would accept forms and parse before authentication. */
  override registerParserMiddleware(): void {
    // Nothing to add.
  }

  closeLimitMs = CLOSE_LIMIT_MS;

  private connections: Connections | undefined;

  override async close(): Promise<void> {
    const server = this.getHttpServer();
    const limit = setTimeout(() => server.closeAllConnections(), this.closeLimitMs);
    this.connections?.closeUnasked();
    const timer = setInterval(() => this.connections?.closeUnasked(), CLOSE_UNASKED_EVERY_MS);
    try {
      await super.close();
    } finally {
      clearInterval(timer);
      clearTimeout(limit);
    }
  }

  watchConnections(): void {
    const server = this.getHttpServer();
    this.connections = new Connections(server);
    // Refused with the other heads; Node would answer without a problem.
    server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  }
}

/** No route has a schema for Fastify to compile: pipes judge requests. Its own compilers would load 110 modules at every start. */
const noCompiler = (): never => {
  throw new Error('a route of this server has a schema, and nothing that would compile it');
};

/** What Node would refuse without a problem document. */
const headDefect = ({ headers, raw }: FastifyRequest): FieldError | undefined => {
  if (headers.host === undefined && raw.httpVersion === '1.1') return { path: 'Host', message: 'Host is required' };
  const { expect } = headers;
  if (expect === undefined || expect.toLowerCase() === '100-continue') return undefined;
  return { path: 'Expect', message: 'Expect must be 100-continue' };
};

const answerBrokenRequest = (error: Error & { code?: string }, socket: Socket): void => {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem = validationFailed([
    { path: '', message: `the request is not HTTP/1.1 as expected: ${error.message}` },
  ]);
  const body = JSON.stringify(problem);
  const head = [
    'HTTP/1.1 400 Bad Request',
    `${REQUEST_ID_HEADER}: ${requestIdOf({})}`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
};

/** The router's own refusals; they come before any hook. */
const answerUnroutable = (error: Error & { code?: string }, request: FastifyRequest, reply: FastifyReply): void => {
  void reply.header(REQUEST_ID_HEADER, request.id);
  const problem =
    error.code === 'FST_ERR_MAX_PARAM_LENGTH' ? notFound('there is nothing at this path') : problemOf(error);
  sendProblem(reply, problem ?? new Problem('internal', 'something went wrong on our side'));
};

const refuseEarly = (
  instance: FastifyInstance,
  routes: RouteTable,
  maxBodyBytes: number,
  isDraining: () => boolean,
): void => {
  instance.addHook('onRequest', (request, reply, done) => {
    void reply.header(REQUEST_ID_HEADER, request.id);
    const defect = headDefect(request);
    if (defect !== undefined) {
      void reply.header('connection', 'close');
      sendProblem(reply, validationFailed([defect]));
      return;
    }
    if (request.is404) {
      sendProblem(reply, routes.refusal(request.method, request.url));
      return;
    }
    if (Number(request.headers['content-length']) > maxBodyBytes) {
      void reply.header('connection', 'close');
      sendProblem(reply, payloadTooLarge(`a request may have ${maxBodyBytes} bytes`));
      return;
    }
    // Whoever is answered while this process stops finds another one with its next request.
    if (isDraining()) void reply.header('connection', 'close');
    if (isDraining() && !READING_METHODS.includes(request.method)) {
      sendProblem(reply, unavailable('this process is stopping'));
      return;
    }
    done();
  });
};

/**
 * Bodies are only collected here: their content is judged after authentication, by whoever asks for the value. An
 * empty body has no media type to be wrong about.
 */
const readBodies = (instance: FastifyInstance, maxBodyBytes: number): void => {
  instance.removeAllContentTypeParsers();
  const limit = { parseAs: 'buffer', bodyLimit: maxBodyBytes } as const;
  instance.addContentTypeParser<Buffer>('*', limit, (request, bytes, done) => {
    const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = request.headers;
    if (bytes.length > 0 && !JSON_WITH_CHARSET.test(type)) {
      done(unsupportedMediaType('a body must be application/json in UTF-8'));
    } else if (bytes.length > 0 && encoding !== 'identity') {
      done(unsupportedMediaType('a body must not be compressed'));
    } else {
      done(null, new RequestBody(bytes));
    }
  });
};

/**
 * The adapter to create the Nest application with. Nest middleware (`app.use`) is not available: it would cost every
 * request, and hooks of the Fastify instance do the same.
 */
export const createHttpAdapter = (options: HttpServerOptions = {}): FastifyAdapter => {
  const { maxBodyBytes = MAX_BODY_BYTES, isDraining = () => false, notBuilt = NOT_BUILT } = options;
  const routes = new RouteTable(
    notBuilt,
    options.nothingThere ?? 'there is nothing at this path: /docs describes the calls',
  );
  const adapter = new HttpAdapter({
    bodyLimit: maxBodyBytes,
    clientErrorHandler: answerBrokenRequest,
    forceCloseConnections: 'idle',
    frameworkErrors: answerUnroutable,
    http: { requireHostHeader: false },
    genReqId: (request: IncomingMessage) => requestIdOf(request.headers),
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    return503OnClosing: false,
    routerOptions: { maxParamLength: MAX_PARAM_CHARS },
    schemaController: { compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler } },
    skipMiddie: true,
  });
  adapter.closeLimitMs = options.closeLimitMs ?? CLOSE_LIMIT_MS;
  adapter.watchConnections();
  const instance: FastifyInstance = adapter.getInstance();
  instance.addHook('onRoute', ({ method, url }) => routes.add([method].flat(), url));
  watchRequests(instance, options.telemetry);
  refuseEarly(instance, routes, maxBodyBytes, isDraining);
  readBodies(instance, maxBodyBytes);
  return adapter;
};

/**
 * `/openapi.json` and `/docs`, which loads nothing from elsewhere. What makes them is loaded when somebody first asks: it
 * is a quarter of all modules, and would cost every start 0.2 s and every process 10 MB.
 */
import type { INestApplication } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { notFound } from './problem.js';
import { sendProblem, toldProblem } from './problem.filter.js';
import { REQUEST_ID_HEADER, requestIdOf } from './request-id.js';

const PATHS = ['/openapi.json', '/docs', '/docs/*'];

/** A server of the pages alone, which listens nowhere: routes cannot be added to one that serves. */
const openPages = async (app: INestApplication, version: string): Promise<FastifyInstance> => {
  const { setUpPages } = await import('./openapi.js');
  const adapter = new FastifyAdapter({ genReqId: ({ headers }: FastifyRequest['raw']) => requestIdOf(headers) });
  const pages: FastifyInstance = adapter.getInstance();
  pages.setErrorHandler((error, request, reply) => sendProblem(reply, toldProblem(error, request)));
  pages.setNotFoundHandler(({ method, url }, reply) => sendProblem(reply, notFound(`Cannot ${method} ${url}`)));
  setUpPages(adapter, app, version);
  await pages.ready();
  return pages;
};

/** With the headers and the request id that it has so far. */
const handOver = (pages: FastifyInstance, { raw, id }: FastifyRequest, reply: FastifyReply): void => {
  reply.hijack();
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) reply.raw.setHeader(name, value);
  }
  raw.headers[REQUEST_ID_HEADER] = id;
  pages.routing(raw, reply.raw);
};

/** To be called before the application is initialised. */
export const serveDocumentation = (app: INestApplication, version: string): void => {
  const server = app.getHttpAdapter().getInstance() as FastifyInstance;
  let opening: Promise<FastifyInstance> | undefined;
  const opened = (): Promise<FastifyInstance> => {
    opening ??= openPages(app, version).catch((error: unknown) => {
      // The next one who asks tries again.
      opening = undefined;
      throw error;
    });
    return opening;
  };
  for (const path of PATHS) {
    server.get(path, async (request, reply) => handOver(await opened(), request, reply));
  }
};

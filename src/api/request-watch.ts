/** Each request that is answered: how long it took by route, and its span, which goes on where the caller's trace was. */
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Telemetry } from '../telemetry.js';
import { beginSpan, type Begun } from '../tracing.js';
import { traceparent } from './requests/headers.js';

const MS_PER_SECOND = 1_000;
const begun = new WeakMap<FastifyRequest, Begun>();

/** The pattern, never the path: there are as many as there are routes. */
const routeOf = (request: FastifyRequest): string =>
  request.is404 ? 'none' : ((request.routeOptions as { url?: string } | undefined)?.url ?? 'none');

/** What commands of the request go on from: its span, or the caller's own header when nobody listens; null without either. */
export const traceOf = (request: FastifyRequest): string | null => begun.get(request)?.traceparent ?? null;

/** To be added before every other hook. */
export const watchRequests = (instance: FastifyInstance, telemetry: Telemetry | undefined): void => {
  instance.addHook('onRequest', (request, _reply, done) => {
    const { method } = request;
    const route = routeOf(request);
    const started = beginSpan(`${method} ${route}`, traceparent(request.headers), {
      kind: SpanKind.SERVER,
      attributes: { 'http.request.method': method, 'http.route': route },
    });
    if (started.traceparent !== null) begun.set(request, started);
    done();
  });
  instance.addHook('onResponse', (request, reply, done) => {
    const { statusCode } = reply.raw;
    const status = `${Math.floor(statusCode / 100)}xx`;
    telemetry?.requestSeconds.observe(
      { method: request.method, route: routeOf(request), status },
      reply.elapsedTime / MS_PER_SECOND,
    );
    const span = begun.get(request)?.span;
    span?.setAttribute('http.response.status_code', statusCode);
    if (statusCode >= 500) span?.setStatus({ code: SpanStatusCode.ERROR });
    span?.end();
    done();
  });
};

/**
 * Spans, for whoever listens: without an OpenTelemetry SDK in the process each call here does next to nothing. What ties
 * a span to the next one is a `traceparent` of W3C Trace Context, kept with the command and in its events, because an
 * append is made of many requests and a projection reads events of a process that may be gone.
 */
import {
  INVALID_SPAN_CONTEXT,
  isSpanContextValid,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  type SpanOptions,
  trace,
} from '@opentelemetry/api';

/** A span that has begun; end it. */
export interface Begun {
  readonly span: Span;
  /** What its children begin from; null when there is no trace. */
  readonly traceparent: string | null;
}

/** The SDK's own limit of links, beyond which it drops them. */
const MAX_LINKS = 128;
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/;

const tracer = trace.getTracer('jobledger');
const NOBODYS_SPAN = trace.wrapSpanContext(INVALID_SPAN_CONTEXT);
let isHeard = false;

/**
 * Whether an SDK has registered: then it stays. Asked with a span that is never ended, so that nobody is told of it; without a parent
 * one that nobody hears costs 0.13 µs, with one 1.7 µs.
 */
const hasListener = (): boolean => {
  isHeard ||= isSpanContextValid(tracer.startSpan('probe', {}, ROOT_CONTEXT).spanContext());
  return isHeard;
};

const contextOf = (traceparent: string): SpanContext | undefined => {
  const [, traceId = '', spanId = '', flags = '00'] = TRACEPARENT.exec(traceparent) ?? [];
  const found = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(found) ? found : undefined;
};

const textOf = ({ traceId, spanId, traceFlags }: SpanContext): string =>
  `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;

/**
 * Begins a span below the one that `parent` names, or a trace when it names none. Nobody listens: the caller's own goes on
 * as it was written.
 */
export const beginSpan = (name: string, parent: string | null, options: SpanOptions = {}): Begun => {
  if (!hasListener()) return { span: NOBODYS_SPAN, traceparent: parent };
  const above = parent === null ? undefined : contextOf(parent);
  const span = tracer.startSpan(
    name,
    options,
    above === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, above),
  );
  const own = span.spanContext();
  return { span, traceparent: isSpanContextValid(own) ? textOf(own) : parent };
};

/** Links to the spans that made what is handled now, each once, the first 128. */
export const linksTo = (traceparents: Iterable<unknown>): Link[] => {
  const links: Link[] = [];
  for (const traceparent of new Set(traceparents)) {
    const context = typeof traceparent === 'string' ? contextOf(traceparent) : undefined;
    if (context !== undefined) links.push({ context });
    if (links.length === MAX_LINKS) break;
  }
  return links;
};

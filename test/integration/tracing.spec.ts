/* eslint-disable @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-call -- answers are looked into by name. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { trace } from '@opentelemetry/api';
import { BasicTracerProvider, type ReadableSpan, type SpanProcessor } from '@opentelemetry/sdk-trace-base';
import { JobledgerClient } from '../../src/client/client.js';
import { Caller, startApp, type TestApp } from '../support/app.js';

/** Keeps what has ended, and tells who waits for it. */
class Ended implements SpanProcessor {
  readonly spans: ReadableSpan[] = [];
  private readonly waiting = new Set<() => void>();

  onStart(): void {
    // Only ends count.
  }

  onEnd(span: ReadableSpan): void {
    this.spans.push(span);
    for (const look of this.waiting) look();
  }

  forceFlush = (): Promise<void> => Promise.resolve();
  shutdown = (): Promise<void> => Promise.resolve();

  find(matches: (span: ReadableSpan) => boolean): Promise<ReadableSpan> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.spans.find(matches);
        if (found === undefined) return;
        this.waiting.delete(look);
        resolve(found);
      };
      this.waiting.add(look);
      look();
    });
  }
}

const ended = new Ended();
let app: TestApp;
let call: Caller;
beforeAll(async () => {
  app = await startApp({ policy: { leaseMs: 100, maxLostLeases: 0 } });
  call = new Caller(app.url);
});
afterAll(async () => {
  await app.close();
  trace.disable();
});

const SPAN = '00f067aa0ba902b7';
const headerOf = (traceId: string): string => `00-${traceId}-${SPAN}-01`;
const traced = (traceId: string) => ({ headers: { traceparent: headerOf(traceId) } });
const traceparents = async (jobId: string): Promise<readonly (string | null)[]> =>
  (await call.get(`/v1/jobs/${jobId}/events`)).body.items.map((event: any) => event.traceparent); // eslint-disable-line @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-return
const places = (all: readonly (string | null)[]) => all.map((written) => (written ?? '').split('-'));

describe('without anybody who listens', () => {
  it('keeps the traceparent as the caller wrote it, and makes none', async () => {
    const header = headerOf('a'.repeat(32));
    const { body } = await call.post('/v1/jobs', { type: 'x' }, { headers: { traceparent: header } });
    expect(new Set(await traceparents(body.jobId))).toEqual(new Set([header]));
    const { jobId } = await call.create();
    expect(new Set(await traceparents(jobId))).toEqual(new Set([null]));
  });
});

describe('with an OpenTelemetry SDK', () => {
  beforeAll(() => {
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [ended] }));
  });

  it('[B-22] one trace leads from the calls over their commands and events to the projection', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const options = traced(traceId);
    const { body } = await call.post('/v1/jobs', { type: 'x', queue: 'traced' }, options);
    const claims = await call.post('/v1/claims', { workerId: 'w1', queues: ['traced'], leaseMs: 60_000 }, options);
    const held = claims.body.jobs[0];
    await call.worker(held, 'progress', { batchId: 'b1', processed: 1 }, options);
    await call.worker(held, 'complete', {}, options);

    const own = (span: ReadableSpan): boolean => span.spanContext().traceId === traceId;
    for (const [request, command] of [
      ['POST /v1/jobs', 'command create'],
      ['POST /v1/claims', 'command claim'],
      ['POST /v1/jobs/:id/progress', 'command progress'],
      ['POST /v1/jobs/:id/complete', 'command complete'],
    ]) {
      const server = await ended.find((span) => own(span) && span.name === request);
      expect(server.parentSpanContext?.spanId).toBe(SPAN);
      const below = await ended.find((span) => own(span) && span.name === command);
      expect(below.parentSpanContext?.spanId).toBe(server.spanContext().spanId);
      expect(below.attributes['jobledger.outcome']).toBe('done');
    }

    const events = places(await traceparents(body.jobId));
    expect(events.map(([, id]) => id)).toEqual(events.map(() => traceId));
    const commands = ended.spans.filter((span) => own(span) && span.name.startsWith('command '));
    const made = new Set(commands.map((span) => span.spanContext().spanId));
    expect(new Set(events.map(([, , id]) => id))).toEqual(made);
    const page = await ended.find(
      ({ name, links }) => name === 'project counters' && links.some(({ context }) => context.traceId === traceId),
    );
    expect(made).toContain(page.links.find(({ context }) => context.traceId === traceId)?.context.spanId);
  });

  it('a reap has a trace of its own, which its events name', async () => {
    const { jobId } = await call.create({ queue: 'lapses' });
    await call.claim('lapses');
    await call.untilDue([jobId]);
    expect((await call.post('/v1/admin/reaper/sweep', {})).body).toMatchObject({ due: 1, reaped: 1 });
    const reap = await ended.find(
      ({ name, attributes }) => name === 'reap' && attributes['jobledger.job_id'] === jobId,
    );
    const [, traceId, spanId] = places(await traceparents(jobId)).at(-1) ?? [];
    expect({ traceId, spanId }).toEqual({ traceId: reap.spanContext().traceId, spanId: reap.spanContext().spanId });
  });

  it('a refused command is no error of the service', async () => {
    const { jobId } = await call.create({ queue: 'refused' });
    const traceId = 'c'.repeat(32);
    await call.post(`/v1/jobs/${jobId}/retry`, {}, traced(traceId));
    const command = await ended.find((span) => span.name === 'command retry' && span.spanContext().traceId === traceId);
    expect([command.status.code, command.attributes['jobledger.outcome']]).toEqual([0, 'refused']);
  });

  it("the SDK passes the caller's trace on", async () => {
    const traceId = 'd'.repeat(32);
    const client = new JobledgerClient({ baseUrl: app.url, traceparent: () => headerOf(traceId) });
    const { jobId } = await client.createJob({ type: 'x' });
    expect(places(await traceparents(jobId))[0]?.[1]).toBe(traceId);
    expect(() => new JobledgerClient({ baseUrl: app.url, traceparent: 'no' as never })).toThrow(/traceparent/);
  });
});

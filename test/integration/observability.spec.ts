/** What the documents, the dashboard and the alerts say of metrics, held against those of a running service. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parser } from '@prometheus-io/lezer-promql';
import { parse } from 'yaml';
import { Telemetry } from '../../src/telemetry.js';
import { Caller, startApp, type TestApp } from '../support/app.js';

const documentOf = (name: string): string => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

let app: TestApp;
let call: Caller;
let text: string;
beforeAll(async () => {
  app = await startApp();
  call = new Caller(app.url);
  text = await metrics();
});
afterAll(() => app.close());

const metrics = async (): Promise<string> => (await fetch(`${app.url}/metrics`)).text();

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
}

/** As a scrape finds them. */
const families = (): readonly Family[] =>
  [...text.matchAll(/^# HELP (\S+) (.+)\n# TYPE \S+ (\S+)$/gm)].map(([, name = '', help = '', type = '']) => ({
    name,
    help,
    type,
  }));

const labelsOf = (name: string): readonly string[] => {
  const metric = app.app.get(Telemetry).registry.getSingleMetric(name) as unknown as { labelNames: readonly string[] };
  return metric.labelNames;
};

describe('the table of metrics', () => {
  it('has every metric of the service, with its type, labels and help, and no other', () => {
    const rows = documentOf('observability.md').matchAll(
      /^\| `(jobledger_\w+)` +\| (\w+) +\| (.*?) +\| (.*?) +\| (.*?) +\|$/gm,
    );
    const written = [...rows].map(([, name, type, labels, unit, help]) => {
      expect(unit).toMatch(
        /^(seconds|events|commands|jobs|runs|leases|readers|connections|callers|sweeps|calls|rows|0 or 1)$/,
      );
      return { name, type, labels: labels === '–' ? [] : labels?.replaceAll('`', '').split(', '), help };
    });
    const served = families()
      .filter(({ name }) => name.startsWith('jobledger_'))
      .map((family) => ({ ...family, labels: labelsOf(family.name) }));
    expect(served.length).toBeGreaterThan(20);
    const byName = (a: { name: string | undefined }, b: { name: string | undefined }): number =>
      (a.name ?? '').localeCompare(b.name ?? '');
    expect(written.sort(byName)).toEqual(served.sort(byName));
  });
});

/** What is wrong with an expression: its syntax, a metric that is not served, a label that its metric has not. */
const complaintsOf = (written: string): readonly string[] => {
  const expression = written.replaceAll('$__rate_interval', '5m');
  const complaints: string[] = [];
  const served = new Map<string, string>();
  for (const { name, type } of families()) {
    for (const end of type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']) served.set(`${name}${end}`, name);
  }
  parser.parse(expression).iterate({
    enter: (node) => {
      if (node.type.isError) complaints.push(`syntax at ${node.from}: ${expression}`);
      if (node.name !== 'VectorSelector') return;
      const name = /^\w+/.exec(expression.slice(node.from, node.to))?.[0] ?? '';
      const family = served.get(name);
      if (family === undefined) {
        complaints.push(`no metric ${name}`);
        return;
      }
      for (const [, label = ''] of expression.slice(node.from, node.to).matchAll(/(\w+)=~?"/g)) {
        if (!labelsOf(family).includes(label)) complaints.push(`${name} has no label ${label}`);
      }
    },
  });
  return complaints;
};

describe('the check of expressions', () => {
  it('finds what is wrong with one', () => {
    expect(complaintsOf('sum(rate(jobledger_commands_total[5m])')).not.toEqual([]);
    expect(complaintsOf('jobledger_nothing')).toEqual(['no metric jobledger_nothing']);
    expect(complaintsOf('jobledger_jobs{queue="a"}')).toEqual(['jobledger_jobs has no label queue']);
    expect(complaintsOf('jobledger_append_seconds')).toEqual(['no metric jobledger_append_seconds']);
  });
});

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource: { readonly type: string; readonly uid: string };
  readonly targets: readonly { readonly refId: string; readonly expr: string }[];
}

describe('the dashboard', () => {
  const board = JSON.parse(documentOf('grafana/jobledger.json')) as {
    readonly uid: string;
    readonly title: string;
    readonly schemaVersion: number;
    readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
    readonly panels: readonly Panel[];
  };

  it('is one that Grafana imports', () => {
    expect(board).toMatchObject({ uid: 'jobledger', title: 'Jobledger', schemaVersion: expect.any(Number) });
    expect(board.templating.list).toMatchObject([{ name: 'datasource', type: 'datasource' }]);
    expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length);
    for (const { gridPos, targets, datasource } of board.panels) {
      expect(datasource).toEqual({ type: 'prometheus', uid: '${datasource}' });
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      expect(targets.length).toBeGreaterThan(0);
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
    }
  });

  it('asks for what is served', () => {
    expect(board.panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => complaintsOf(expr)))).toEqual([]);
  });
});

describe('the alerts', () => {
  const { groups } = parse(documentOf('grafana/alerts.yaml')) as {
    groups: readonly {
      readonly name: string;
      readonly rules: readonly { readonly alert: string; readonly expr: string }[];
    }[];
  };
  const rules = groups.flatMap((group) => group.rules);

  it('are rules that Prometheus reads, and ask for what is served', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
    for (const rule of rules) {
      expect(rule).toEqual({
        alert: expect.stringMatching(/^Jobledger\w+$/),
        expr: expect.any(String),
        for: expect.stringMatching(/^\d+[smh]$/),
        labels: { severity: expect.stringMatching(/^(page|ticket)$/) },
        annotations: { summary: expect.any(String), description: expect.any(String) },
      });
    }
    expect(rules.length).toBeGreaterThan(5);
    expect(rules.flatMap(({ expr }) => complaintsOf(expr))).toEqual([]);
  });
});

describe('metrics', () => {
  const samples = (read: string): ReadonlyMap<string, number> =>
    new Map([...read.matchAll(/^(jobledger_\S+) (\S+)$/gm)].map(([, name = '', value]) => [name, Number(value)]));

  it('[B-31] rise by what was done, exactly', async () => {
    const before = samples(await metrics());
    const held: { body: { jobs: unknown[] } } = await (async () => {
      await call.create({ queue: 'counted' });
      await call.create({ queue: 'counted' });
      return call.post('/v1/claims', { workerId: 'w1', queues: ['counted'], max: 2 });
    })();
    const [one, two] = held.body.jobs;
    await call.worker(one, 'complete');
    await call.post(`/v1/jobs/${(one as { job: { id: string } }).job.id}/cancel`);
    await call.worker(two, 'fail', { code: 'Broken', message: 'broken', retryable: false });
    const { jobId } = await call.create({ queue: 'other' });
    await call.post(`/v1/jobs/${jobId}/cancel`);
    const { body } = await call.post(`/v1/jobs/${jobId}/retry`);
    await call.get('/v1/counters', { headers: { 'x-min-position': body.position } });
    const after = samples(await metrics());
    const rise = (name: string): number => (after.get(name) ?? NaN) - (before.get(name) ?? 0);
    const expected = {
      jobledger_jobs_created_total: 3,
      jobledger_jobs_completed_total: 1,
      jobledger_jobs_failed_total: 1,
      jobledger_jobs_dead_lettered_total: 1,
      jobledger_jobs_cancelled_total: 1,
      jobledger_jobs_retried_total: 1,
      'jobledger_commands_total{command="create",outcome="done"}': 3,
      'jobledger_commands_total{command="claim",outcome="done"}': 1,
      'jobledger_events_total{type="JobCreated"}': 3,
      'jobledger_refused_total{code="already_terminal"}': 1,
      // Creates, the claim of two, complete, fail, cancel, retry; a refusal is no command that was written.
      jobledger_batch_commands_sum: 9,
      'jobledger_http_request_seconds_count{method="POST",route="/v1/jobs",status="2xx"}': 3,
      'jobledger_http_request_seconds_count{method="POST",route="/v1/jobs/:id/cancel",status="4xx"}': 1,
      jobledger_leases_held: 0,
    };
    expect(Object.fromEntries(Object.keys(expected).map((name) => [name, rise(name)]))).toEqual(expected);
    expect(rise('jobledger_append_seconds_count')).toBe(rise('jobledger_batch_commands_count'));
  });

  it('tell how long the oldest job of a queue has waited, and nothing of a queue where none waits', async () => {
    await call.create({ queue: 'slow' });
    const { position } = await call.create({ queue: 'taken' });
    await call.get('/v1/queues', { headers: { 'x-min-position': position } });
    await call.claim('taken');
    const { position: after } = (await call.create({ queue: 'drafts', autostart: false })) as { position: string };
    await call.get('/v1/queues', { headers: { 'x-min-position': after } });
    const told = samples(await metrics());
    expect(told.get('jobledger_queue_oldest_seconds{queue="slow"}')).toBeGreaterThan(0);
    for (const queue of ['taken', 'drafts']) {
      expect(told.has(`jobledger_queue_oldest_seconds{queue="${queue}"}`)).toBe(false);
    }
  });

  it('tell what the last verification found, until a later one finds something else', async () => {
    const { jobId } = await call.create({ queue: 'verified' });
    const found = (read: ReadonlyMap<string, number>) =>
      ['jobs', 'log'].map((subject) => [
        read.get(`jobledger_verification_ok{subject="${subject}"}`),
        read.get(`jobledger_verification_differences{subject="${subject}"}`),
      ]);
    expect(found(samples(await metrics()))).toEqual([
      [undefined, undefined],
      [undefined, undefined],
    ]);
    await app.service.pool.query('update jobledger.jobs set revision = revision + 5 where id = $1', [jobId]);
    await call.post('/v1/admin/projections/jobs/verify', {});
    await call.post('/v1/admin/log/verify', {});
    expect(found(samples(await metrics()))).toEqual([
      [0, 1],
      [1, undefined],
    ]);
    await call.post('/v1/admin/projections/jobs/verify', { repair: true });
    expect(found(samples(await metrics()))[0]).toEqual([1, 0]);
  });
});

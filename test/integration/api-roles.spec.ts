/** The table "Roles" of the HTTP contract: every documented call, by every role, without a key, and with a wrong one. */
/* eslint-disable @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-return
   -- a JSON document is looked into by name. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { ApiKeys } from '../../src/api/keys/api-keys.js';
import { isRuled } from '../../src/api/keys/access.js';
import { ROLES, type Role } from '../../src/api/keys/roles.js';
import { ApiDescription } from '../support/api-description.js';
import { Caller, type SendOptions, startApp, type TestApp } from '../support/app.js';
import { KeyFile, keyOf, withKey } from '../support/key-file.js';

const silent = { changed: () => undefined, failed: () => undefined };

let app: TestApp;
let call: Caller;
let file: KeyFile;
let description: ApiDescription;
let operations: readonly { readonly method: string; readonly path: string; readonly operation: any }[];
beforeAll(async () => {
  file = new KeyFile(Object.fromEntries(ROLES.map((role) => [role, [role]])));
  app = await startApp({ keys: new ApiKeys(file.path, silent) });
  call = new Caller(app.url);
  description = new ApiDescription((await call.get('/openapi.json')).body);
  operations = description.operations.map(({ call: named, operation }) => {
    const [method = '', path = ''] = named.split(' ');
    return { method, path, operation };
  });
});
afterAll(async () => {
  await app.close();
  file.remove();
});

/** Copied from the contract by hand, so that code and table are two witnesses. `admin` may do everything. */
const READS = 'dispatcher worker operator auditor';
const CLIENTS = 'dispatcher operator';
const MAY: Readonly<Record<string, string>> = {
  createJob: 'dispatcher',
  createJobs: 'dispatcher',
  listJobs: READS,
  getJob: `${READS} reporter`,
  jobEvents: READS,
  jobLogs: READS,
  streamJob: READS,
  // Without a token; with one it is a call of workers.
  startJob: CLIENTS,
  cancelJob: CLIENTS,
  retryJob: CLIENTS,
  holdJob: CLIENTS,
  resumeJob: CLIENTS,
  rescheduleJob: CLIENTS,
  setPriority: CLIENTS,
  // Each command by the roles of its own call.
  sendCommands: 'dispatcher operator worker',
  claimJobs: 'worker',
  heartbeat: 'worker',
  recordProgress: 'worker',
  completeJob: 'worker',
  failJob: 'worker',
  throttleJob: 'worker',
  waitJob: 'worker',
  releaseJob: 'worker',
  writeLogs: 'worker',
  counters: READS,
  listQueues: READS,
  getQueue: READS,
  streamEvents: READS,
  streamJobs: READS,
  streamCounters: READS,
  events: 'operator auditor',
  listDeadLetters: 'operator auditor',
  reaper: 'operator auditor',
  config: 'operator auditor',
  logHead: 'operator auditor',
  metrics: 'operator auditor',
  listProjections: 'operator auditor',
  getProjection: 'operator auditor',
  listUpkeep: 'operator auditor',
  getUpkeep: 'operator auditor',
  forceFailJob: 'operator',
  cancelJobByOperator: 'operator',
  requeueJob: 'operator',
  emergencyStopJob: 'operator',
  sweep: 'operator',
  verifyLog: 'auditor',
  verifyProjection: 'auditor',
  rebuildProjection: '',
};
const OPEN = ['live', 'ready'];

const pathOf = (path: string): string => path.replace('{name}', 'jobs').replaceAll(/\{\w+\}/g, randomUUID());

/**
 * A request that is wrong in what it asks, so that whoever gets in gets 400, and does nothing. Its answer is to be as the
 * document says.
 */
const ask = async (method: string, template: string, options?: SendOptions): Promise<readonly [number, string]> => {
  const path = pathOf(template);
  if (method === 'HEAD') return [(await call.send(method, `${path}?nonsense=1`, undefined, options)).status, ''];
  const answer =
    method === 'POST'
      ? await call.post(path, { nonsense: true }, options)
      : await call.send(method, `${path}?nonsense=1`, undefined, options);
  expect(description.defectsOf(method, path, answer)).toEqual([]);
  return [answer.status, answer.body.code];
};

/** Each documented call, and HEAD wherever there is GET. */
const everyCall = () =>
  operations.flatMap(({ method, path, operation }) =>
    (method === 'GET' ? ['GET', 'HEAD'] : [method]).map((asked) => ({
      method: asked,
      path,
      id: operation.operationId,
    })),
  );
const expected = (method: string, status: number, code: string): readonly [number, string] => [
  status,
  method === 'HEAD' ? '' : code,
];

describe('a call', () => {
  it('has its roles in the table above and in the code, and says them in its description', () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect([...Object.keys(MAY), ...OPEN].sort()).toEqual([...ids].sort());
    expect(operations.filter(({ method, path }) => !isRuled(`${method} ${path}`)).map(({ path }) => path)).toEqual([]);
    for (const { operation } of operations) {
      const { operationId: id, security, responses, 'x-roles': roles } = operation;
      if (OPEN.includes(id)) {
        expect([id, security, roles, responses['401']]).toEqual([id, [], undefined, undefined]);
        continue;
      }
      // The description names all that may get in; of these a worker starts with its token.
      const documented = id === 'startJob' ? `${MAY[id]} worker` : MAY[id]!;
      expect([id, [...roles].sort()]).toEqual([id, [...documented.split(' ').filter(Boolean), 'admin'].sort()]);
      expect([id, security, Object.keys(responses)]).toEqual([id, undefined, expect.arrayContaining(['401', '403'])]);
    }
  });

  it('without a key, or with a wrong one, is 401 before anything else is wrong with it [B-30]', async () => {
    for (const { method, path, id } of everyCall()) {
      const isOpen = OPEN.includes(id);
      const refused = isOpen ? expected(method, 400, 'validation_failed') : expected(method, 401, 'unauthenticated');
      expect([id, await ask(method, path)]).toEqual([id, refused]);
      expect([id, await ask(method, path, withKey('nobody'))]).toEqual([id, refused]);
    }
  });

  it.each(ROLES)('with a key for the role %s is answered or 403, as the table says [B-30]', async (role: Role) => {
    for (const { method, path, id } of everyCall()) {
      const may = OPEN.includes(id) || role === 'admin' || MAY[id]!.split(' ').includes(role);
      const answer = may ? expected(method, 400, 'validation_failed') : expected(method, 403, 'forbidden');
      expect([id, method, await ask(method, path, withKey(role))]).toEqual([id, method, answer]);
    }
  });

  it('is judged by what it asks where the role depends on it', async () => {
    const start = `/v1/jobs/${randomUUID()}/start`;
    const codes = async (path: string, body: unknown, ...roles: Role[]) =>
      Promise.all(roles.map(async (role) => (await call.post(path, body, withKey(role))).body.code ?? 'done'));
    const everyClient = ['dispatcher', 'operator', 'worker', 'admin'] as const;
    const missing = 'not_found';
    expect(await codes(start, {}, ...everyClient)).toEqual([missing, missing, 'forbidden', missing]);
    expect(await codes(start, { leaseToken: null }, 'worker')).toEqual(['forbidden']);
    expect(await codes(start, { leaseToken: 't' }, ...everyClient)).toEqual([
      'forbidden',
      'forbidden',
      missing,
      missing,
    ]);
    // What cannot be read asks for nothing yet.
    expect(await codes(start, '{"leaseToken', 'worker', 'reporter')).toEqual(['validation_failed', 'forbidden']);
    const verify = '/v1/admin/projections/counters/verify';
    expect(await codes(verify, { repair: true, nonsense: 1 }, 'auditor', 'operator', 'admin')).toEqual([
      ...['forbidden', 'forbidden', 'validation_failed'],
    ]);
    expect(await codes(verify, { repair: false }, 'auditor')).toEqual(['done']);
  });

  it('is open without a key where it says what the service is', async () => {
    for (const path of ['/health/live', '/health/ready', '/openapi.json']) {
      expect([path, (await call.get(path)).status]).toEqual([path, 200]);
    }
    const page = await fetch(`${app.url}/docs`);
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('swagger')]);
  });
});

describe('refusals', () => {
  it('come in the order of the contract: the path, the method, the size and the kind of a body before the key', async () => {
    const [json, text] = [
      { headers: { 'content-type': 'application/json' } },
      { headers: { 'content-type': 'text/plain' } },
    ];
    const huge = `"${'x'.repeat(16 * 1024 * 1024)}"`;
    const inOrder: readonly (readonly [string, Promise<{ readonly status: number }>, number])[] = [
      ['an unknown path', call.get('/v1/nothing'), 404],
      ['a part that is not built', call.post('/v1/schedules', {}), 501],
      ['a method that is not built', call.send('DELETE', `/v1/jobs/${randomUUID()}`), 501],
      ['another method', call.send('PUT', '/v1/jobs', {}), 405],
      ['OPTIONS', call.send('OPTIONS', '/v1/jobs'), 405],
      ['a body that is too large', call.send('POST', '/v1/jobs', huge, json), 413],
      ['a body of another kind', call.send('POST', '/v1/jobs', 'x', text), 415],
      ['a body that is no JSON', call.send('POST', '/v1/jobs', '{', json), 401],
      [
        'a header that is wrong',
        call.post('/v1/jobs', {}, { headers: { 'if-match': 'x', 'idempotency-key': 'é' } }),
        401,
      ],
      ['an id that is none', call.get('/v1/jobs/none'), 401],
      ['a job that is not there', call.get(`/v1/jobs/${randomUUID()}`), 401],
      [
        'no role, before the body',
        call.send('POST', '/v1/jobs', '{', { headers: { ...withKey('auditor').headers, ...json.headers } }),
        403,
      ],
    ];
    for (const [what, answer, status] of inOrder) expect([what, (await answer).status]).toEqual([what, status]);
  });

  it('say how to get in, and repeat nothing of what was sent', async () => {
    const none = await call.get('/v1/jobs');
    expect(none.headers.get('www-authenticate')).toBe('Bearer');
    expect(none.body).toMatchObject({
      status: 401,
      code: 'unauthenticated',
      detail: expect.stringContaining('Bearer'),
    });
    const wrong = await call.get('/v1/jobs', withKey('nobody'));
    const forbidden = await call.post('/v1/claims', { workerId: 'w' }, withKey('auditor'));
    expect(forbidden.body.detail).toBe('key auditor has none of the roles that may do this: worker, admin');
    for (const { body, headers } of [wrong, forbidden]) {
      expect(JSON.stringify([body, ...headers])).not.toMatch(/key-of/);
    }
  });

  it.each([
    ['in the query', '?apiKey=K', {}],
    ['in the query, as OAuth once had it', '?access_token=K', {}],
    ['in another header', '', { 'x-api-key': 'K' }],
    ['in a cookie', '', { cookie: 'authorization=Bearer K' }],
    ['for a proxy', '', { 'proxy-authorization': 'Bearer K' }],
    ['by another scheme', '', { authorization: 'Basic K' }],
    ['without a scheme', '', { authorization: 'K' }],
    ['with nothing before it but the scheme', '', { authorization: 'BearerK' }],
    ['that is empty', '', { authorization: 'Bearer ' }],
    ['as its hash', '', { authorization: `Bearer sha256:${'0'.repeat(64)}` }],
    ['with another one', '', { authorization: 'Bearer K, Bearer K' }],
    ['in other letters', '', { authorization: 'Bearer KEY-OF-ADMIN' }],
    ['that is very long', '', { authorization: `Bearer ${'K'.repeat(12_000)}` }],
    ['of bytes that are no ASCII', '', { authorization: 'Bearer kéy-öf-ädmin' }],
  ])('are for a key %s', async (_what, query, headers) => {
    const put = (text: string): string => text.replaceAll(/\bK\b/g, keyOf('admin'));
    const sent = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, put(value)]));
    const answer = await call.get(`/v1/jobs${put(query)}`, { headers: sent });
    expect([answer.status, answer.body.code]).toEqual([401, 'unauthenticated']);
    expect(JSON.stringify(answer.body)).not.toContain(keyOf('admin'));
  });

  it('are not for the scheme in any case of letters, or for spaces around the key', async () => {
    for (const authorization of [`bearer ${keyOf('admin')}`, `BEARER   ${keyOf('admin')}  `]) {
      expect((await call.get('/v1/jobs', { headers: { authorization } })).status).toBe(200);
    }
  });
});

/** As it is on the wire: what `fetch` would not send. */
const raw = (lines: readonly string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    const { port } = new URL(app.url);
    const socket = connect(Number(port), '127.0.0.1', () => socket.write([...lines, '', ''].join('\r\n'), 'latin1'));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', reject).on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
  });
const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);

describe('there is no way round: ', () => {
  const key = `Authorization: Bearer ${keyOf('admin')}`;
  const other = `authorization: Bearer ${keyOf('nobody')}`;

  it('two headers are none, whichever comes first', async () => {
    for (const headers of [
      [key, other],
      [other, key],
      [key, key],
    ]) {
      const answer = await raw(['GET /v1/jobs HTTP/1.1', 'Host: l', 'Connection: close', ...headers]);
      expect([headers, statusOf(answer)]).toEqual([headers, 401]);
    }
    expect(statusOf(await raw(['GET /v1/jobs HTTP/1.1', 'Host: l', 'Connection: close', key]))).toBe(200);
  });

  it('a name with a space, a folded line, or two lengths is no request at all', async () => {
    for (const lines of [
      [`Authorization : Bearer ${keyOf('admin')}`],
      ['Authorization: Bearer', ` ${keyOf('admin')}`],
      [`X-A: a\r\n\tAuthorization: Bearer ${keyOf('admin')}`],
      ['Content-Length: 0', 'Content-Length: 5'],
      ['Content-Length: 5', 'Transfer-Encoding: chunked'],
    ]) {
      const answer = await raw(['GET /v1/jobs HTTP/1.1', 'Host: l', 'Connection: close', ...lines]);
      expect([lines, [400, 401].includes(statusOf(answer))]).toEqual([lines, true]);
    }
  });

  it.each([
    ['/v1/jobs/', 404],
    ['//v1/jobs', 404],
    ['/v1//jobs', 404],
    ['/V1/JOBS', 404],
    ['/v1/jobs;a=b', 404],
    ['/v1/./jobs', 404],
    ['/v1/x/../jobs', 404],
    ['/v1/%2e%2e/v1/jobs', 404],
    ['/v1/jobs%2f', 404],
    ['/v1%2fjobs', 404],
    ['/v1/jobs%00', 404],
    ['/health/live/../../v1/jobs', 404],
    ['/docs/../v1/jobs', 403],
    ['/docs/%2e%2e/%2e%2e/package.json', 403],
    ['/%76%31/jobs', 401],
    ['/v1/%6aobs', 401],
    ['/metrics', 401],
    ['/%6detrics', 401],
    ['http://l/v1/jobs', 401],
    ['/v1/jobs?', 401],
    ['/v1/jobs#/health/live', 401],
    ['/v1/jobs/%', 400],
  ])('%s is %i without a key', async (path, status) => {
    const answer = await raw([`GET ${path} HTTP/1.1`, 'Host: l', 'Connection: close']);
    expect(statusOf(answer)).toBe(status);
  });

  it('another method in a header is not another method', async () => {
    const { status } = await call.get('/v1/jobs', {
      headers: { ...withKey('auditor').headers, 'x-http-method-override': 'POST', 'x-original-url': '/health/live' },
    });
    expect(status).toBe(200);
    const tricked = await call.get('/v1/jobs', {
      headers: { 'x-original-url': '/health/live', 'x-rewrite-url': '/docs' },
    });
    expect(tricked.status).toBe(401);
  });
});

/** The same lifecycle over HTTP: the service as a process of its own, keep-alive clients in this one. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { compare, isOwn, withServer } from './measure.mjs';

const agent = new Agent({ keepAlive: true, maxSockets: 512 });

const post = (base, path, body) =>
  new Promise((resolve, reject) => {
    const text = JSON.stringify(body);
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      'idempotency-key': randomUUID(),
    };
    const sent = request(`${base}${path}`, { method: 'POST', agent, headers }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => {
        const answer = Buffer.concat(chunks).toString();
        if (response.statusCode < 300) resolve(JSON.parse(answer));
        else reject(new Error(`${path}: ${response.statusCode} ${answer}`));
      });
    });
    sent.on('error', reject);
    sent.end(text);
  });

/** The service as it is shipped, on a free port. */
const startService = async (databaseUrl) => {
  const env = { ...process.env, JOBLEDGER_DATABASE_URL: databaseUrl, JOBLEDGER_PORT: '0', JOBLEDGER_LOG_LEVEL: 'warn' };
  const main = join(import.meta.dirname, '../dist/main.js');
  const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const base = await new Promise((resolve, reject) => {
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
      const address = /http:\/\/[^\s/]+/.exec(out)?.[0];
      if (address !== undefined) resolve(address);
    });
    child.once('exit', (code) => reject(new Error(`the service ended with ${code}: ${out}`)));
  });
  const close = () =>
    new Promise((resolve) => {
      child.removeAllListeners('exit');
      child.once('exit', resolve);
      child.kill('SIGTERM');
    });
  return { base, close };
};

await withServer(async (url) => {
  const service = await startService(url);
  const { base } = service;
  const step = async () => {
    await post(base, '/v1/jobs', {
      type: 'bench',
      queue: 'bench',
      payload: { url: 'https://example.org/things/1', size: 12345 },
    });
    const { jobs } = await post(base, '/v1/claims', { workerId: 'w', queues: ['bench'], waitMs: 1_000 });
    const [claimed] = jobs;
    if (claimed === undefined) return false;
    await post(base, `/v1/jobs/${claimed.job.id}/complete`, { leaseToken: claimed.leaseToken, result: { ok: true } });
    return true;
  };
  const peer = isOwn ? undefined : await (await import('./pg-boss.mjs')).openPgBoss(url);
  await compare('lifecycle-http: the same over HTTP, clients on the same cores; pg-boss in process', {
    jobledger: step,
    ...(peer === undefined ? {} : { 'pg-boss': peer.step }),
  });
  await peer?.close();
  agent.destroy();
  await service.close();
});

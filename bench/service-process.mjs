/** Our side over HTTP: the service as a process of its own, as it is shipped, on a free port. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { join } from 'node:path';

const agent = new Agent({ keepAlive: true, maxSockets: 512 });

const send = (url, { method, headers = {}, text }) =>
  new Promise((resolve, reject) => {
    const sent = request(url, { method, agent, headers }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => {
        const answer = Buffer.concat(chunks);
        if (response.statusCode < 300) resolve(answer);
        else reject(new Error(`${method} ${url}: ${response.statusCode} ${answer.toString()}`));
      });
    });
    sent.on('error', reject);
    sent.end(text);
  });

/** The service on a database, and its calls; each write has an idempotency key. */
export const startService = async (databaseUrl, env = {}) => {
  const began = performance.now();
  const child = spawn(process.execPath, [join(import.meta.dirname, '../dist/main.js')], {
    env: {
      ...process.env,
      ...{ JOBLEDGER_DATABASE_URL: databaseUrl, JOBLEDGER_PORT: '0', JOBLEDGER_LOG_LEVEL: 'warn' },
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const base = await new Promise((resolve, reject) => {
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
      const address = /http:\/\/[^\s/]+/.exec(out)?.[0];
      if (address !== undefined) resolve(address);
    });
    child.once('exit', (code) => reject(new Error(`the service ended with ${code}: ${out}`)));
  });
  return {
    ...{ base, pid: child.pid, startedInMs: performance.now() - began },
    /** The body as bytes. */
    get: (path) => send(`${base}${path}`, { method: 'GET' }),
    post: async (path, body) => {
      const text = JSON.stringify(body);
      const headers = {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
        'idempotency-key': randomUUID(),
      };
      return JSON.parse(await send(`${base}${path}`, { method: 'POST', headers, text }));
    },
    close: () =>
      new Promise((resolve) => {
        agent.destroy();
        child.removeAllListeners('exit');
        child.once('exit', resolve);
        child.kill('SIGTERM');
      }),
  };
};

/** A service without keys is for programs of its machine, and not for pages in a browser that runs there. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { request } from 'node:http';
import { startApp, type TestApp } from '../support/app.js';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const ask = (
  method: string,
  path: string,
  headers: Record<string, string>,
): Promise<{ status: number; code: unknown }> =>
  new Promise((resolve, reject) => {
    const sent = request(new URL(path, app.url), { method, headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => (text += part));
      answer.once('end', () => {
        const code = text.startsWith('{') ? (JSON.parse(text) as { code?: unknown }).code : undefined;
        resolve({ status: answer.statusCode!, code });
      });
    });
    sent.once('error', reject).end();
  });

describe('without keys', () => {
  it.each([
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { host: 'evil.example:8080' },
    { host: 'evil.example:8080', origin: 'http://evil.example:8080' },
    { host: 'localhost.evil.example' },
  ])('a page of another site changes and reads nothing: %j', async (headers) => {
    expect(await ask('POST', '/v1/admin/reaper/sweep', headers)).toEqual({ status: 403, code: 'forbidden' });
    expect(await ask('GET', '/v1/jobs', headers)).toEqual({ status: 403, code: 'forbidden' });
  });

  it.each([{ host: 'localhost:8080' }, { host: '127.0.0.1' }, { host: '[::1]:8080' }, { host: 'Jobs.LOCALHOST' }])(
    'programs call it by a local name: %j',
    async (headers) => {
      expect(await ask('GET', '/v1/jobs', headers)).toMatchObject({ status: 200 });
    },
  );

  it('its own pages call it', async () => {
    const headers = { host: 'localhost:8080', origin: 'http://localhost:8080' };
    expect(await ask('GET', '/v1/jobs', headers)).toMatchObject({ status: 200 });
  });

  it('is asked for its health by any name', async () => {
    expect(await ask('GET', '/health/live', { host: 'jobs.internal' })).toMatchObject({ status: 200 });
  });
});

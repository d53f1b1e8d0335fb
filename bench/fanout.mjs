/**
 * Readers of the whole log over SSE while it grows: when does each event reach each reader, and does one lose any.
 * Beside it a bare `node:http` server that is handed the same bytes and writes them to as many readers.
 */
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Agent, request } from 'node:http';
import { alternate, isOwn, seconds, withServer } from './measure.mjs';
import { Report } from './report.mjs';
import { startService } from './service-process.mjs';

const SETTINGS = isOwn
  ? [{ readers: 20, rate: 50 }]
  : [
      { readers: 200, rate: 200 },
      { readers: 1_000, rate: 20 },
    ];
const LONGEST_WAIT_MS = 30_000;

const now = () => performance.timeOrigin + performance.now();

/** A program of this folder as a child that answers messages. */
const startChild = (file, ...args) => {
  const child = fork(join(import.meta.dirname, file), args.map(String));
  const next = () =>
    new Promise((resolve, reject) => {
      const onMessage = (message) => {
        child.off('exit', onExit);
        resolve(message);
      };
      const onExit = (code) => reject(new Error(`${file} ended with ${code}`));
      child.once('message', onMessage);
      child.once('exit', onExit);
    });
  return {
    ready: next(),
    ask: (message) => {
      const answer = next();
      child.send(message);
      return answer;
    },
    close: () => child.kill(),
  };
};

/** So many a second, for the time of a round. @returns how many were sent */
const atRate = async (rate, send) => {
  const began = performance.now();
  const sent = [];
  while (performance.now() - began < seconds * 1000) {
    const due = Math.floor(((performance.now() - began) * rate) / 1000) + 1;
    while (sent.length < due) sent.push(send());
    await pause(2);
  }
  await Promise.all(sent);
  return sent.length;
};

/** Until every reader has all of them, or for so long. */
const collect = async (readers, expected) => {
  const until = performance.now() + LONGEST_WAIT_MS;
  for (;;) {
    const seen = await readers.ask({ count: true });
    if (seen.least >= expected || performance.now() > until) return readers.ask({ take: true, expected });
    await pause(20);
  }
};

const ownSide = async (service, { readers: count, rate }) => {
  const readers = startChild('sse-readers.mjs', `${service.base}/v1/streams/events`, count);
  await readers.ready;
  const create = () => {
    const payload = { sentAt: now(), url: 'https://example.org/things/1' };
    // A draft is one event.
    return service.post('/v1/jobs', { type: 'bench', queue: 'bench', autostart: false, payload });
  };
  return {
    measure: async () => collect(readers, await atRate(rate, create)),
    close: () => readers.close(),
  };
};

/** The bytes of an event as the service wrote them, with another time and position. */
const frameOf = (template, position) =>
  template
    .replace(/^id: \d+/, `id: ${position}`)
    .replace(/"position":"\d+"/, `"position":"${position}"`)
    .replace(/"sentAt":[\d.]+/, `"sentAt":${now()}`);

const bareSide = async (template, { readers: count, rate }) => {
  const server = startChild('sse-bare.mjs');
  const { port } = await server.ready;
  const readers = startChild('sse-readers.mjs', `http://127.0.0.1:${port}/`, count);
  await readers.ready;
  // One connection: on several they would come in another order.
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let position = 0;
  const send = () =>
    new Promise((resolve, reject) => {
      const sent = request({ port, host: '127.0.0.1', method: 'POST', agent }, (response) => {
        response.resume().once('end', resolve);
      });
      sent.once('error', reject);
      position += 1;
      sent.end(frameOf(template, position));
    });
  return {
    measure: async () => collect(readers, await atRate(rate, send)),
    close: () => {
      agent.destroy();
      readers.close();
      server.close();
    },
  };
};

/** One frame of the service's stream. */
const takeTemplate = async (service) => {
  const { jobId } = await service.post('/v1/jobs', {
    ...{ type: 'bench', queue: 'bench', autostart: false },
    payload: { sentAt: now(), url: 'https://example.org/things/1' },
  });
  const response = await new Promise((resolve, reject) => {
    request(`${service.base}/v1/streams/events?after=0`, resolve).once('error', reject).end();
  });
  let text = '';
  for await (const chunk of response) {
    text += chunk;
    if (text.includes(jobId) && text.includes('\n\n')) break;
  }
  return `${/id: \d+\nevent: JobCreated\n[^\n]*/.exec(text)[0]}\n\n`;
};

await withServer(async (url) => {
  const service = await startService(url);
  const template = isOwn ? undefined : await takeTemplate(service);
  const report = new Report('fanout: from the call that makes an event to a reader of the whole log', [
    'service, readers and writer are three processes on the same cores; the time is from before the call to the reader',
    `an event has ${template === undefined ? 'some' : template.length} bytes as it is sent`,
  ]);
  for (const setting of SETTINGS) {
    const own = await ownSide(service, setting);
    const bare = template === undefined ? undefined : await bareSide(template, setting);
    const found = await alternate({
      jobledger: own.measure,
      ...(bare && { 'bare node:http': bare.measure }),
    });
    const take = (field) =>
      Object.fromEntries(Object.entries(found).map(([name, each]) => [name, each.map((one) => one[field])]));
    const label = `${setting.readers} readers, ${setting.rate} events/s`;
    report.row({ label: `${label}: p99`, unit: 'ms', better: 'lower', limit: '< 1,000 ms', values: take('p99') });
    report.row({ label: `${label}: median`, unit: 'ms', better: 'lower', values: take('median') });
    for (const [name, lost] of Object.entries(take('lost'))) {
      const sum = lost.reduce((all, each) => all + each, 0);
      report.note(`${label}: of ${name}, readers lost ${sum} events${sum === 0 ? '' : ' (or got them too late)'}`);
    }
    own.close();
    bare?.close();
  }
  report.end();
  await service.close();
});

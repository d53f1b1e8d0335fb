/** So many readers of one SSE stream, and what they saw: a process of its own, asked by messages. */
import { Agent, get } from 'node:http';

const [url, count] = [process.argv[2], Number(process.argv[3])];
const agent = new Agent({ keepAlive: false, maxSockets: Infinity });

const now = () => performance.timeOrigin + performance.now();

/** Events of each reader since they were last taken, and how late they were, ms. */
const seen = new Array(count).fill(0);
const lastId = new Array(count).fill(0);
let gaps = 0;
let delays = [];

const EVENT = /(?:^|\n)id: (\d+)\n[^\n]*\ndata: [^\n]*?"sentAt":([\d.]+)/g;

const read = (reader) =>
  new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      response.setEncoding('latin1');
      let rest = '';
      response.on('data', (chunk) => {
        const text = rest + chunk;
        const end = text.lastIndexOf('\n\n') + 2;
        if (end === 1) {
          rest = text;
          return;
        }
        rest = text.slice(end);
        const at = now();
        for (const [, id, sentAt] of text.slice(0, end).matchAll(EVENT)) {
          if (lastId[reader] !== 0 && Number(id) !== lastId[reader] + 1) gaps += 1;
          lastId[reader] = Number(id);
          seen[reader] += 1;
          delays.push(at - Number(sentAt));
        }
      });
      response.once('close', () => process.exit(3));
      resolve();
    }).once('error', reject);
  });

const CONNECT_AT_ONCE = 50;
for (let first = 0; first < count; first += CONNECT_AT_ONCE) {
  await Promise.all(Array.from({ length: Math.min(CONNECT_AT_ONCE, count - first) }, (_, n) => read(first + n)));
}

const take = (expected) => {
  delays.sort((a, b) => a - b);
  const at = (share) => delays[Math.min(delays.length - 1, Math.floor(delays.length * share))] ?? Infinity;
  const missing = seen.reduce((sum, each) => sum + Math.max(0, expected - each), 0);
  const result = { p99: at(0.99), median: at(0.5), lost: Math.max(missing, gaps) };
  delays = [];
  seen.fill(0);
  gaps = 0;
  return result;
};

process.on('message', (message) => {
  process.send(message.take ? take(message.expected) : { least: Math.min(...seen) });
});
process.on('disconnect', () => process.exit(0));
process.send({ isReady: true });

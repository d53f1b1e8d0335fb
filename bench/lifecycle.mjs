/** create → claim → complete through the shipped write path, with every safety on: keys, leases, answers, hash chain. */
import { randomUUID } from 'node:crypto';
import { compareHeld, isHeld } from './held.mjs';
import { alternate, createDatabase, isOwn, lanes, throughput, withServer } from './measure.mjs';
import { openOwn } from './own.mjs';
import { Report } from './report.mjs';
import { BARE, openBare, secondLogUrl } from './second-log.mjs';

const GOALS = { 1: 1, 32: 5, 256: 8 };

const open = async (ownUrl, peerUrl) => {
  const own = await openOwn(ownUrl);
  const peer = isOwn ? undefined : await (await import('./peers/pg-boss.mjs')).openPgBoss(peerUrl);
  const close = async () => {
    await peer?.close();
    await own.close();
  };
  return { steps: { jobledger: own.step, ...(peer && { [peer.name]: peer.step }) }, peer, close };
};

const event = (type) => ({
  ...{ id: randomUUID(), type, data: { payload: { url: 'https://example.org/things/1', size: 12345 } } },
  metadata: { actor: { type: 'client', id: 'bench' }, commandId: randomUUID(), correlationId: randomUUID() },
});
/** As many appends and events as ours. */
const life = () => [
  [event('JobCreated'), event('JobEnqueued')],
  [event('JobClaimed'), event('AttemptStarted')],
  [event('JobCompleted')],
];

const second = async (url, onPostgres, report) => {
  const own = await openOwn(await createDatabase(url, 'second'), { eventStoreDbUrl: secondLogUrl });
  const bare = await openBare();
  for (const count of lanes) {
    report.row({
      ...{ label: `lifecycle on EventStoreDB, ${count} in flight`, unit: 'jobs/s', better: 'higher' },
      values: await alternate({
        jobledger: () => throughput(count, own.step),
        [`${BARE}, its appends`]: () => throughput(count, () => bare.life(life)),
        'jobledger on PostgreSQL': () => throughput(count, onPostgres),
      }),
    });
  }
  await bare.close();
  await own.close();
};

const free = async (url) => {
  const { steps, peer, close } = await open(url, isOwn ? url : await createDatabase(url, 'peer'));
  const report = new Report(
    'lifecycle: create → claim → complete, one command a call, each with a key, in process',
    peer === undefined ? [] : [peer.settings],
  );
  for (const count of lanes) {
    const sides = Object.entries(steps).map(([name, step]) => [name, () => throughput(count, step)]);
    report.row({
      ...{ label: `lifecycle, ${count} in flight`, unit: 'jobs/s', better: 'higher' },
      values: await alternate(Object.fromEntries(sides)),
      ...(peer !== undefined && GOALS[count] !== undefined && { goals: { [peer.name]: GOALS[count] } }),
    });
  }
  if (secondLogUrl !== undefined) await second(url, steps.jobledger, report);
  report.end();
  await close();
};

const IN_FLIGHT = 32;

const held = (url) =>
  compareHeld(url, {
    title: `lifecycle, ${IN_FLIGHT} in flight, while a repeatable read snapshot is held open`,
    unit: 'jobs/s',
    open: async (databaseUrl) => {
      const { steps, close } = await open(databaseUrl, databaseUrl);
      const sides = Object.entries(steps).map(([name, step]) => [name, () => throughput(IN_FLIGHT, step)]);
      return { sides: Object.fromEntries(sides), close };
    },
  });

await withServer(isHeld ? held : free);

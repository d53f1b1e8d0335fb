/** The same lifecycle over HTTP: the service as a process of its own, keep-alive clients in this one. */
import { alternate, createDatabase, isOwn, lanes, throughput, withServer } from './measure.mjs';
import { Report } from './report.mjs';
import { startService } from './service-process.mjs';

const GOALS = { 32: 2 };

await withServer(async (url) => {
  const service = await startService(url);
  const step = async () => {
    await service.post('/v1/jobs', {
      ...{ type: 'bench', queue: 'bench', payload: { url: 'https://example.org/things/1', size: 12345 } },
    });
    const { jobs } = await service.post('/v1/claims', { workerId: 'w', queues: ['bench'], waitMs: 1_000 });
    const [claimed] = jobs;
    if (claimed === undefined) return false;
    await service.post(`/v1/jobs/${claimed.job.id}/complete`, {
      leaseToken: claimed.leaseToken,
      result: { ok: true },
    });
    return true;
  };
  const peer = isOwn
    ? undefined
    : await (await import('./peers/pg-boss.mjs')).openPgBoss(await createDatabase(url, 'peer'));
  const report = new Report(
    'lifecycle-http: the same over HTTP, clients on the same cores; pg-boss in process',
    peer === undefined ? [] : [peer.settings],
  );
  for (const count of lanes) {
    report.row({
      ...{ label: `lifecycle over HTTP, ${count} in flight`, unit: 'jobs/s', better: 'higher' },
      values: await alternate({
        jobledger: () => throughput(count, step),
        ...(peer === undefined ? {} : { [peer.name]: () => throughput(count, peer.step) }),
      }),
      ...(peer !== undefined && GOALS[count] !== undefined && { goals: { [peer.name]: GOALS[count] } }),
    });
  }
  report.end();
  await peer?.close();
  await service.close();
});

/**
 * Events of 300 bytes on 100 streams: in calls of 1,000 beside a raw COPY of the same rows, and one a call beside Emmett;
 * with EVENTSTOREDB_URL the same into EventStoreDB, beside its client alone.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import pg from 'pg';
import { createLogPool } from '../dist/event-store/postgres/connection.js';
import { migrate } from '../dist/event-store/postgres/migrate.js';
import { PostgresEventStore } from '../dist/event-store/postgres/postgres-event-store.js';
import { compareHeld, isHeld } from './held.mjs';
import { alternate, createDatabase, isOwn, lanes, throughput, withServer } from './measure.mjs';
import { Report } from './report.mjs';
import { BARE, openBare, openSecondLog, secondLogUrl } from './second-log.mjs';

const STREAMS = 100;
const CALL = isOwn ? 100 : 1_000;
const TYPE = 'Measured';
/** With its metadata 300 bytes. */
const DATA = { note: 'x'.repeat(230), n: 12345 };
const METADATA = { actor: { type: 'client', id: 'bench' } };

let nextStream = 0;
const streamName = () => `bench-${(nextStream = (nextStream + 1) % STREAMS)}`;
const event = () => ({ id: randomUUID(), type: TYPE, version: 1, data: DATA, metadata: METADATA });
const request = () => ({ stream: streamName(), expected: 'any', events: [event()] });

const openLog = async (databaseUrl) => {
  await migrate(databaseUrl);
  const pool = createLogPool({ connectionString: databaseUrl });
  const store = new PostgresEventStore({ pool });
  /** @returns how many */
  const append = async (count) => {
    const results = await store.append(Array.from({ length: count }, request));
    const failed = results.find(({ ok }) => !ok);
    if (failed !== undefined) throw failed.error;
    return count;
  };
  return {
    append,
    close: async () => {
      await store.close();
      await pool.end();
    },
  };
};

/** The rows of a call as COPY takes them, made before anything is measured: what remains is the database's work. */
const openCopy = async (databaseUrl) => {
  const { from } = await import('pg-copy-streams');
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('create table copied (like jobledger.events including all)');
  const leaf = `\\\\x${randomBytes(32).toString('hex')}`;
  const tail = [JSON.stringify(DATA), JSON.stringify(METADATA), leaf].join('\t');
  let position = 0;
  const rows = (count) =>
    Array.from({ length: count }, () => {
      position += 1;
      return `${position}\t${streamName()}\t${position}\t${randomUUID()}\t${TYPE}\t1\t2030-01-01 00:00:00+00\t${tail}\n`;
    }).join('');
  return {
    /** @returns how many */
    copy: async (count) => {
      await pipeline(Readable.from([rows(count)]), client.query(from('copy copied from stdin')));
      return count;
    },
    close: () => client.end(),
  };
};

const openEmmett = async (databaseUrl) => {
  const { getPostgreSQLEventStore } = await import('@event-driven-io/emmett-postgresql');
  const { versionOf } = await import('./peers/version.mjs');
  const store = getPostgreSQLEventStore(databaseUrl);
  await store.schema.migrate();
  const name = `Emmett ${versionOf('@event-driven-io/emmett-postgresql')}`;
  return {
    name,
    settings: `${name}: defaults, its own pool`,
    append: async () => {
      await store.appendToStream(streamName(), [{ type: TYPE, data: DATA, metadata: METADATA }]);
      return 1;
    },
    close: () => store.close(),
  };
};

const second = async (url, report) => {
  const log = await openSecondLog(url);
  const bare = await openBare();
  for (const count of lanes) {
    report.row({
      ...{ label: `append into EventStoreDB, one a call, ${count} in flight`, unit: 'events/s', better: 'higher' },
      values: await alternate({
        jobledger: () => throughput(count, () => log.append(request())),
        [BARE]: () => throughput(count, () => bare.append(request())),
      }),
      ...(count >= 32 && { goals: { [BARE]: 0.7 } }),
    });
  }
  await bare.close();
  await log.close();
};

const free = async (url) => {
  const log = await openLog(url);
  const copied = isOwn ? undefined : await openCopy(url);
  const emmett = isOwn ? undefined : await openEmmett(await createDatabase(url, 'emmett'));
  const report = new Report(`append: events of 300 bytes, ${STREAMS} streams, any revision`, [
    'COPY: into a table with the same columns, indexes and constraints, one transaction a call, no hash, no revision',
    ...(emmett === undefined ? [] : [emmett.settings]),
  ]);
  report.row({
    ...{ label: `append, ${CALL} a call, one caller`, unit: 'events/s', better: 'higher' },
    values: await alternate({
      jobledger: () => throughput(1, () => log.append(CALL)),
      ...(copied && { COPY: () => throughput(1, () => copied.copy(CALL)) }),
    }),
    ...(copied && { goals: { COPY: 0.5 } }),
  });
  for (const count of lanes) {
    report.row({
      ...{ label: `append, one a call, ${count} in flight`, unit: 'events/s', better: 'higher' },
      values: await alternate({
        jobledger: () => throughput(count, () => log.append(1)),
        ...(emmett && { [emmett.name]: () => throughput(count, emmett.append) }),
      }),
      ...(emmett && count === 32 && { goals: { [emmett.name]: 10 } }),
    });
  }
  if (secondLogUrl !== undefined) await second(url, report);
  report.end();
  await emmett?.close();
  await copied?.close();
  await log.close();
};

const IN_FLIGHT = 32;

const held = (url) =>
  compareHeld(url, {
    title: `append, ${IN_FLIGHT} in flight, while a repeatable read snapshot is held open`,
    ...{ unit: 'events/s', goal: 0.8 },
    open: async (databaseUrl) => {
      const log = await openLog(databaseUrl);
      return { sides: { jobledger: () => throughput(IN_FLIGHT, () => log.append(1)) }, close: log.close };
    },
  });

await withServer(isHeld ? held : free);

/**
 * What a side loses while somebody holds a snapshot open: a dump, an analyst. Two databases on one server, the snapshot
 * on one of them; both get the same load all the time, and are compared once it has been held long enough.
 */
import pg from 'pg';
import { alternate, createDatabase, flag, seconds } from './measure.mjs';
import { Report } from './report.mjs';

export const isHeld = process.argv.includes('--held');

const HOLD_SECONDS = Number(flag('hold', '120'));

const FREE = 'no snapshot';
const HELD = 'snapshot held';

/** @returns how to let it go */
const holdSnapshot = async (databaseUrl) => {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('begin isolation level repeatable read');
  await client.query('select count(*) from pg_class');
  return () => client.end();
};

/**
 * @param open opens every side on a database: `sides` measures each by its name, ours first
 * @param goal share of ours that has to be left; absent: it has to lose less than the others
 */
export const compareHeld = async (serverUrl, { title, unit, open, goal }) => {
  const urls = { [HELD]: await createDatabase(serverUrl, 'held'), [FREE]: await createDatabase(serverUrl, 'free') };
  const opened = { [HELD]: await open(urls[HELD]), [FREE]: await open(urls[FREE]) };
  const names = Object.keys(opened[FREE].sides);
  const report = new Report(title, [
    `the snapshot is ${HOLD_SECONDS} s old when the rounds begin, under load all the time`,
  ]);
  const letGo = await holdSnapshot(urls[HELD]);
  const until = performance.now() + HOLD_SECONDS * 1000;
  while (performance.now() < until) {
    for (const name of names) for (const { sides } of Object.values(opened)) await sides[name]();
  }
  const kept = {};
  for (const name of names) {
    const values = await alternate({ [HELD]: opened[HELD].sides[name], [FREE]: opened[FREE].sides[name] });
    report.row({
      label: `${name} after ${HOLD_SECONDS} s`,
      unit,
      better: 'higher',
      values,
      ...(goal && { goals: { [FREE]: goal } }),
    });
    kept[name] = values[HELD].map((value, round) => (100 * value) / values[FREE][round]);
  }
  if (names.length > 1) {
    const goals = Object.fromEntries(names.slice(1).map((name) => [name, 1]));
    report.row({ label: 'what is left under the snapshot', unit: '%', better: 'higher', values: kept, goals });
  }
  report.end();
  await letGo();
  for (const { close } of Object.values(opened)) await close();
};

/** How long it takes at least, for whoever cuts benches that hang. */
export const heldSeconds = HOLD_SECONDS + seconds;

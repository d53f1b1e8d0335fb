/**
 * `npm run golden`: writes the golden files of types and versions that have none. One that is there is never written
 * again; where it is not what the program writes, this says what to do and exits with 1.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { EVENT_TYPES, versionOf } from '../../src/domain/upcast.js';
import { replay } from '../../src/projections/jobs/stored-job.js';
import { complaintAbout, GOLDEN_FOLDER, goldenFiles, readGolden, recordedOf, writtenToday } from './golden.js';

for (const type of EVENT_TYPES) {
  const files = goldenFiles(type, versionOf(type));
  const log = new URL(files.log, GOLDEN_FOLDER);
  if (!existsSync(log)) {
    const events = await writtenToday(type);
    const { stored } = replay(events.map(recordedOf));
    writeFileSync(log, events.map((event) => `${JSON.stringify(event)}\n`).join(''), { flag: 'wx' });
    writeFileSync(new URL(files.job, GOLDEN_FOLDER), `${JSON.stringify(stored, null, 2)}\n`, { flag: 'wx' });
    console.log(`written: ${files.log}`);
    continue;
  }
  const complaint = await complaintAbout(type, readGolden(files.log));
  if (complaint === undefined) continue;
  console.error(complaint);
  process.exitCode = 1;
}

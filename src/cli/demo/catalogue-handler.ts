/** The handler of the demo's jobs: reads every entry of a folder, and goes on where an earlier attempt was. */
import { join } from 'node:path';
import type { AttemptContext, Handler, Job } from '../../client/client.js';
import { AttemptTally, type JobResult } from './attempt-tally.js';
import { entriesOf, type Entry, type JobFolder } from './job-folder.js';
import type { MidWork } from './messages.js';
import { readAndCompress } from './read-file.js';
import { fileTally, skippedTally, type Tally, unreadableTally } from './tally.js';

const tallyEntry = async (root: string, { path, kind }: Entry, signal: AbortSignal): Promise<[Tally, number]> => {
  if (kind === 'skipped') return [skippedTally(path), 0];
  if (kind === 'unreadable') return [unreadableTally(path), 0];
  try {
    const { bytes, compressedBytes, sha256 } = await readAndCompress(join(root, path), signal);
    return [fileTally(path, bytes, sha256), compressedBytes];
  } catch {
    // An aborted read is no unreadable file.
    signal.throwIfAborted();
    return [unreadableTally(path), 0];
  }
};

/** @param midWork called once in the middle of each job, with work done and not reported; the job waits for it. */
export const catalogueHandler =
  (midWork: (at: MidWork) => Promise<void>): Handler =>
  async (job: Job, context: AttemptContext): Promise<JobResult> => {
    const { signal } = context;
    const folder = job.payload as JobFolder;
    const entries = await entriesOf(folder);
    const tally = new AttemptTally(context);
    const remaining = entries.filter(({ path }) => path > tally.after);
    const done = entries.length - remaining.length;
    const middle = Math.max(0, Math.floor(entries.length / 2) - done);
    for (const [index, entry] of remaining.entries()) {
      signal.throwIfAborted();
      if (index === middle || tally.isReportDue) await tally.save();
      tally.add(entry.path, ...(await tallyEntry(folder.root, entry, signal)));
      if (index === middle) await midWork({ jobId: job.id, reported: done + index, entries: entries.length });
    }
    if (remaining.length === 0) await midWork({ jobId: job.id, reported: done, entries: entries.length });
    await tally.report();
    return tally.result;
  };

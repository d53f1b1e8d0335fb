import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { BYTES_STAGE, type Checkpoint, type JobResult } from '../../src/cli/demo/attempt-tally.js';
import { catalogueHandler } from '../../src/cli/demo/catalogue-handler.js';
import { tallyFileSystem } from '../../src/cli/demo/file-system.js';
import type { JobFolder } from '../../src/cli/demo/job-folder.js';
import type { MidWork } from '../../src/cli/demo/messages.js';
import { readAndCompress } from '../../src/cli/demo/read-file.js';
import { fileTally } from '../../src/cli/demo/tally.js';
import type { AttemptContext, Job, Json, ProgressUpdate } from '../../src/client/client.js';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'jobledger-work-'));
  mkdirSync(join(root, 'a'));
  for (const name of ['1', '2', '3', '4', '5']) writeFileSync(join(root, 'a', name), name.repeat(Number(name) * 10));
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

interface Recorded {
  readonly updates: ProgressUpdate[];
  readonly checkpoints: Checkpoint[];
}

/** One attempt at the folder `a`, as the worker of the SDK would make it. */
const attempt = async (
  lastCheckpoint: Json,
  midWork: (at: MidWork, recorded: Recorded) => Promise<void> = () => Promise.resolve(),
  signal = new AbortController().signal,
): Promise<Recorded & { readonly result: JobResult }> => {
  const recorded: Recorded = { updates: [], checkpoints: [] };
  const payload: JobFolder = { root, folder: 'a', split: 'folders' };
  const job = { id: 'job-1', payload } as unknown as Job;
  const context = {
    ...{ job, attempt: 1, signal, lastCheckpoint },
    progress: (update: ProgressUpdate) => Promise.resolve(void recorded.updates.push(update)),
    checkpoint: (value: Json) => Promise.resolve(void recorded.checkpoints.push(value as Checkpoint)),
  } as unknown as AttemptContext;
  const handler = catalogueHandler((at) => midWork(at, recorded));
  return { ...recorded, result: (await handler(job, context)) as JobResult };
};

const counted = ({ updates }: Recorded, stage?: string): number =>
  updates.filter((update) => update.stage === stage).reduce((sum, { processed = 0 }) => sum + processed, 0);

describe('a job', () => {
  it('has the totals of its folder as its result, and as its progress', async () => {
    const done = await attempt(null);
    const { compressedBytes, unreadablePaths, ...tally } = done.result;
    expect(tally).toEqual(await tallyFileSystem(root));
    expect(tally).toMatchObject({ files: 5, bytes: 150 });
    expect(compressedBytes).toBeGreaterThan(0);
    expect(unreadablePaths).toEqual([]);
    expect([counted(done), counted(done, BYTES_STAGE)]).toEqual([5, 150]);
  });

  it('can be struck in its middle with work that is not reported', async () => {
    const seen: [MidWork, number, Checkpoint | undefined][] = [];
    await attempt(null, (at, recorded) => {
      seen.push([at, counted(recorded), recorded.checkpoints.at(-1)]);
      return Promise.resolve();
    });
    const at = { jobId: 'job-1', reported: 2, entries: 5 };
    expect(seen).toEqual([[at, 2, expect.objectContaining({ after: 'a/2', files: 2, bytes: 30 })]]);
  });

  it('goes on behind the checkpoint of an earlier attempt, and reports only the rest', async () => {
    const whole = await attempt(null);
    const [saved] = whole.checkpoints;
    const rest = await attempt(saved);
    expect(rest.result).toEqual(whole.result);
    expect([counted(rest), counted(rest, BYTES_STAGE)]).toEqual([3, 120]);
  });

  it('that was already done to the end is only completed', async () => {
    const { result } = await attempt(null);
    const again = await attempt({ ...result, after: 'a/5' });
    expect(again.result).toEqual(result);
    expect(again.updates).toEqual([]);
  });

  it('counts and names what it cannot read, and differs by it', async () => {
    const whole = await attempt(null);
    const gone = await attempt(null, () => {
      rmSync(join(root, 'a/4'));
      return Promise.resolve();
    });
    expect(gone.result).toMatchObject({ files: 4, bytes: 110, unreadable: 1, unreadablePaths: ['a/4'] });
    expect(gone.updates.reduce((sum, { failed = 0 }) => sum + failed, 0)).toBe(1);
    expect(counted(gone)).toBe(5);
    expect(gone.result.digest).not.toBe(whole.result.digest);
  });

  it('stops when its lease is lost, and takes no file for unreadable by that', async () => {
    const lost = new AbortController();
    const reason = new Error('the lease is lost');
    const lose = (): Promise<void> => {
      lost.abort(reason);
      return Promise.resolve();
    };
    await expect(attempt(null, lose, lost.signal)).rejects.toBe(reason);
  });
});

describe('a file', () => {
  it.each([1_000, 1_000_000])('of %d bytes is the same read at once or streamed', async (size) => {
    const path = join(root, 'big');
    writeFileSync(path, 'x'.repeat(size));
    const { signal } = new AbortController();
    const read = await readAndCompress(path, signal);
    expect(read.compressedBytes).toBeLessThan(size / 10);
    rmSync(join(root, 'a'), { recursive: true });
    expect(fileTally('big', read.bytes, read.sha256)).toEqual(await tallyFileSystem(root));
    expect(read.bytes).toBe(size);
  });
});

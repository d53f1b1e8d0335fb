/**
 * The same totals by another way: one walk over the whole tree that knows nothing of jobs, packages or progress, and
 * shares no code with the workers but how a file counts (`tally.ts`).
 */
import { createHash } from 'node:crypto';
import { createReadStream, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { addTallies, EMPTY_TALLY, fileTally, skippedTally, type Tally, unreadableTally } from './tally.js';

/** Beyond it a file does not fit into a buffer for sure. */
const CHUNKED_ABOVE_BYTES = 512 * 1024 * 1024;

const tallyFile = async (absolute: string, path: string, size: number): Promise<Tally> => {
  if (size <= CHUNKED_ABOVE_BYTES) {
    const content = readFileSync(absolute);
    return fileTally(path, content.length, createHash('sha256').update(content).digest('hex'));
  }
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(absolute) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return fileTally(path, bytes, hash.digest('hex'));
};

const tallyEntry = async (root: string, path: string, folders: string[]): Promise<Tally> => {
  const absolute = path === '' ? root : `${root}/${path}`;
  try {
    const found = lstatSync(absolute);
    if (found.isFile()) return await tallyFile(absolute, path, found.size);
    if (!found.isDirectory()) return skippedTally(path);
    for (const name of readdirSync(absolute)) folders.push(path === '' ? name : `${path}/${name}`);
    return EMPTY_TALLY;
  } catch {
    return unreadableTally(path);
  }
};

export const tallyFileSystem = async (root: string): Promise<Tally> => {
  const pending = [''];
  let total = EMPTY_TALLY;
  let count = 0;
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    total = addTallies(total, await tallyEntry(root, path, pending));
    count += 1;
    // Signals and timers take their turn.
    if (count % 200 === 0) await turn();
  }
  return total;
};

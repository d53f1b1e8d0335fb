/** A lock between processes: a file that holds the pid of its owner. One that was killed leaves it, and is noticed. */
import { linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 50;
/** Between making the file and writing the pid it is empty; for longer only when its owner died there. */
const EMPTY_LIMIT_MS = 5_000;

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
};

const ownerOf = (file) => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
};

const isAbandoned = (file, owner) => {
  if (owner !== '') return !isAlive(Number(owner));
  return Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Infinity) > EMPTY_LIMIT_MS;
};

/** Renaming succeeds for one of two that try; what was taken by mistake, from a new owner, is put back. */
const breakLock = (file, owner) => {
  const taken = `${file}.${process.pid}`;
  try {
    renameSync(file, taken);
    if (ownerOf(taken) !== owner) linkSync(taken, file);
  } catch {
    // Another was faster.
  }
  rmSync(taken, { force: true });
};

export const withLock = async (file, work) => {
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const owner = ownerOf(file);
    if (owner !== undefined && isAbandoned(file, owner)) breakLock(file, owner);
    else await sleep(POLL_MS);
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
};

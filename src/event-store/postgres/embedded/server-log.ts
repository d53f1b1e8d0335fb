/** The own log of the server: what it says of why it does not start, or went down, is said nowhere else. */
import * as fs from 'node:fs';

/** Of its end: a server that goes down says in a few lines why, and then that it is not there. */
const TAIL_BYTES = 32 * 1024;

const CAUSE = /\b(?:PANIC|FATAL|ERROR): |\bwas terminated by signal\b/;
/** What clients were told of a server that is going down or not up yet, and the end of a process that panicked. */
const CONSEQUENCE = /FATAL: +(?:terminating connection|the database system is)\b|\bwas terminated by signal 6\b/;

const tailOf = (file: string): string => {
  let fd: number;
  try {
    fd = fs.openSync(file, 'r');
  } catch {
    return '';
  }
  try {
    const from = Math.max(0, fs.fstatSync(fd).size - TAIL_BYTES);
    const bytes = Buffer.alloc(TAIL_BYTES);
    const tail = bytes.toString('utf8', 0, fs.readSync(fd, bytes, 0, TAIL_BYTES, from));
    return from === 0 ? tail : tail.slice(tail.indexOf('\n') + 1);
  } finally {
    fs.closeSync(fd);
  }
};

/** Where the log is, and its last line that says of something why it failed, with its time: it may be an old one. */
export const tellServerLog = (file: string): string => {
  const cause = tailOf(file)
    .split('\n')
    .findLast((line) => CAUSE.test(line) && !CONSEQUENCE.test(line));
  return cause === undefined ? `its own log is ${file}` : `its own log, ${file}, says last: ${cause}`;
};

/** Why a start failed. `raced`: another start was faster, or its server is still going down: look again. */
export type StartFailure = 'port' | 'raced' | { readonly reason: string };

const FATAL = /(?:FATAL|PANIC): +(.+)/;

/** A file that cannot be written, as on a full disk, is nobody else's. */
const RACED = /(?<!could not (?:create|write) )lock file "postmaster\.pid"|pre-existing shared memory block/;

/** @param log what the server wrote since the start */
export const startFailureIn = (log: string): StartFailure => {
  if (RACED.test(log)) return 'raced';
  if (log.includes('could not bind') || log.includes('could not create any TCP/IP sockets')) return 'port';
  const lines = log.trim().split('\n');
  const fatal = lines.find((line) => FATAL.test(line) && !CONSEQUENCE.test(line)) ?? lines.at(-1) ?? '';
  return { reason: FATAL.exec(fatal)?.[1] ?? fatal };
};

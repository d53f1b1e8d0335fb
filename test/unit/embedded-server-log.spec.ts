/** What is told of the own log of the embedded server. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { startFailureIn, tellServerLog } from '../../src/event-store/postgres/embedded/server-log.js';

let folder: string;
let file: string;
beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'jobledger-server-log-'));
  file = join(folder, 'server.log');
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

const at = (text: string) => `2026-01-31 12:00:00.000 UTC [7] ${text}`;
const PANIC = at('PANIC:  could not write to file "pg_wal/xlogtemp.7": No space left on device');

describe('what the own log of a server says last', () => {
  it('is its last cause, not what follows from it', () => {
    const after = [
      at('LOG:  client backend (PID 8) was terminated by signal 6: Aborted'),
      at('LOG:  terminating any other active server processes'),
      at('FATAL:  terminating connection because of crash of another server process'),
      at('FATAL:  the database system is in recovery mode'),
      at('FATAL:  the database system is starting up'),
    ];
    fs.writeFileSync(file, [at('ERROR:  an older one'), PANIC, ...after, ''].join('\n'));
    expect(tellServerLog(file)).toBe(`its own log, ${file}, says last: ${PANIC}`);
  });

  it('is looked for at its end alone, and in whole lines', () => {
    fs.writeFileSync(file, `${PANIC}\n${at('LOG:  checkpoint complete')}\n`.padEnd(100_000, 'x'));
    expect(tellServerLog(file)).toBe(`its own log is ${file}`);
  });

  it('is nothing where there is none', () => {
    expect(tellServerLog(file)).toBe(`its own log is ${file}`);
  });
});

describe('why a start failed', () => {
  it.each([
    ['raced', at('FATAL:  lock file "postmaster.pid" already exists')],
    ['raced', at('FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use')],
    ['port', at('LOG:  could not bind IPv4 address "127.0.0.1": Address already in use')],
    [
      { reason: 'could not write lock file "postmaster.pid": No space left on device' },
      at('FATAL:  could not write lock file "postmaster.pid": No space left on device'),
    ],
    [{ reason: 'could not write to file "pg_wal/xlogtemp.7": No space left on device' }, PANIC],
    [
      { reason: 'could not write to file "pg_wal/xlogtemp.7": No space left on device' },
      [at('FATAL:  the database system is starting up'), PANIC.replace('PANIC', 'FATAL'), at('LOG:  shut down')].join(
        '\n',
      ),
    ],
    [{ reason: 'no such program' }, 'no such program\n'],
  ])('is %j', (failure, log) => {
    expect(startFailureIn(log)).toEqual(failure);
  });
});

import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { Announcer } from '../../src/client/announcer.js';
import { Standstill } from '../../src/client/standstill.js';
import { FakeClock } from '../support/fake-clock.js';

const warn = console.warn;
let lines: string[];
beforeEach(() => {
  lines = [];
  console.warn = (line: string): unknown => lines.push(line);
});
afterEach(() => {
  console.warn = warn;
});

/** What is said of a process that stood still for so long, and computed for some of it. */
const saidOf = (stillMs: number, busyMs: number): readonly string[] => {
  const clock = new FakeClock();
  const announcer = new Announcer({ workerId: 'w1', url: 'http://a', clock, listeners: {} });
  let cpuMs = 0;
  const standstill = new Standstill(
    clock,
    (...told) => announcer.tell(null, ({ stoodStill }) => stoodStill?.(...told)),
    () => cpuMs,
  );
  standstill.start();
  clock.advance(3_000);
  cpuMs += busyMs;
  clock.jump(stillMs);
  standstill.stop();
  return lines;
};

it.each([
  [8_750, 6_000, 'your event loop was blocked for 8.0 s'],
  [8_750, 100, 'this process stood still for 8.0 s, suspended or in a synchronous call'],
])('a timer that comes late after %d ms, %d of them computing, says for how long and why', (stillMs, busyMs, said) => {
  expect(saidOf(stillMs, busyMs)).toEqual([
    `jobledger worker w1: ${said}, longer than a lease that it holds allows: heartbeats could not be sent`,
  ]);
});

it('a timer that is a little late is none', () => {
  expect(saidOf(1_700, 1_700)).toEqual([]);
});

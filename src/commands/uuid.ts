import { randomBytes } from 'node:crypto';

let pool = randomBytes(4_096);
let used = 0;

/** 10 random bytes from a pool: a call of the system's generator for each id costs more than the id. */
const random = (): Buffer => {
  if (used + 10 > pool.length) {
    pool = randomBytes(4_096);
    used = 0;
  }
  used += 10;
  return pool.subarray(used - 10, used);
};

let lastMs = 0;
let sequence = 0;

/**
 * A UUIDv7 (RFC 9562): ordered by the time of its making, to the order of calls within this process. The 12 bits after
 * the time count within a millisecond; when they are used up the time runs ahead.
 */
export const v7 = (now: number = Date.now()): string => {
  if (now > lastMs) {
    lastMs = now;
    sequence = random().readUInt16BE(0) & 0x3ff;
  } else {
    sequence += 1;
    if (sequence > 0xfff) {
      lastMs += 1;
      sequence = 0;
    }
  }
  const tail = random();
  const time = lastMs.toString(16).padStart(12, '0');
  const counter = (0x7000 | sequence).toString(16);
  const variant = ((tail.readUInt16BE(0) & 0x3fff) | 0x8000).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-${counter}-${variant}-${tail.toString('hex', 2, 8)}`;
};

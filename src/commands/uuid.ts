import { randomBytes } from 'node:crypto';

/** Random hex digits of many ids at once: a call of the system's generator for each id costs more than the id. */
const POOL_BYTES = 10_000;
let pool = randomBytes(POOL_BYTES).toString('hex');
let used = 0;

const randomDigits = (count: number): string => {
  if (used + count > pool.length) {
    pool = randomBytes(POOL_BYTES).toString('hex');
    used = 0;
  }
  used += count;
  return pool.slice(used - count, used);
};

/** Ids of one millisecond begin alike. */
let prefix = '';
let prefixMs = -1;

const timeDigits = (ms: number): string => {
  if (ms === prefixMs) return prefix;
  const time = ms.toString(16).padStart(12, '0');
  prefixMs = ms;
  return (prefix = `${time.slice(0, 8)}-${time.slice(8)}-`);
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
    sequence = Number.parseInt(randomDigits(4), 16) & 0x3ff;
  } else {
    sequence += 1;
    if (sequence > 0xfff) {
      lastMs += 1;
      sequence = 0;
    }
  }
  const counter = (0x7000 | sequence).toString(16);
  // The two bits of the variant, then 62 random ones.
  const variant = '89ab'[Number.parseInt(randomDigits(1), 16) & 3]!;
  return `${timeDigits(lastMs)}${counter}-${variant}${randomDigits(3)}-${randomDigits(12)}`;
};

/**
 * Reads a request body as JSON, and refuses what would not come back as it was sent.
 *
 * `JSON.parse` alone keeps the last of two equal names, rounds 64-bit ids, and lets through what PostgreSQL cannot
 * store (`\u0000`, lone surrogates). One scan over the text, beside the native parser, sees whether any of that could
 * be the case; only then are paths worked out.
 */
import { isUtf8 } from 'node:buffer';
import { isExactNumber } from './exact-number.js';
import { findDefects } from './json-defects.js';
import { type Problem, validationFailed } from './problem.js';

/** A value of the JSON grammar, as `JSON.parse` gives it. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** Objects and arrays in each other: deeper is refused, so that whoever walks a body may recurse. */
export const MAX_DEPTH = 100;

/** Any decimal of so many digits goes through a double unchanged (IEEE 754: 15 for binary64). */
const ALWAYS_EXACT = 15;

interface Scan {
  readonly depth: number;
  /** Names written, so that fewer in the parsed value tell of repeated ones. */
  readonly names: number;
  readonly suspect: boolean;
}

const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const LETTER_U = 0x75;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Of `\uXXXX` at `at` (the `u`): is it one that must not be, or the start of a pair that is none? */
const isBadEscape = (text: string, at: number): boolean => {
  const unit = Number.parseInt(text.slice(at + 1, at + 5), 16);
  if (unit === 0) return true;
  if (unit < 0xd800 || unit > 0xdfff) return false;
  return !(unit < 0xdc00 && /^\\u[dD][c-fC-F]/.test(text.slice(at + 5, at + 9)));
};

/** Index of the closing quote; negative when an escape on the way is suspect. */
const endOfString = (text: string, open: number): number => {
  let suspect = false;
  let at = open + 1;
  for (let c = text.charCodeAt(at); c !== QUOTE && at < text.length; c = text.charCodeAt(at)) {
    if (c !== BACKSLASH) {
      at++;
      continue;
    }
    if (text.charCodeAt(at + 1) !== LETTER_U) {
      at += 2;
      continue;
    }
    const isBad = isBadEscape(text, at + 1);
    suspect ||= isBad;
    // A whole pair at once: its second half alone would look lone.
    at += !isBad && /^[dD][89abAB]/.test(text.slice(at + 2, at + 4)) ? 12 : 6;
  }
  return suspect ? -at : at;
};

/** Index after the number that starts at `start`; negative when a double would change it. */
const endOfNumber = (text: string, start: number): number => {
  let at = start + 1;
  let plain = true;
  for (; ; at++) {
    const c = text.charCodeAt(at);
    if (c >= DIGIT_0 && c <= DIGIT_9) continue;
    if (c === 0x2e) continue;
    if (c !== 0x65 && c !== 0x45 && c !== PLUS && c !== MINUS) break;
    plain = false;
  }
  if (plain && at - start <= ALWAYS_EXACT) return at;
  return isExactNumber(text.slice(start, at)) ? at : -at;
};

const scan = (text: string): Scan => {
  let depth = 0;
  let deepest = 0;
  let names = 0;
  let suspect = false;
  for (let at = 0; at < text.length; at++) {
    const c = text.charCodeAt(at);
    if (c === QUOTE) {
      const end = endOfString(text, at);
      suspect ||= end < 0;
      at = Math.abs(end);
    } else if (c === COMMA) {
      continue;
    } else if (c === COLON) {
      names++;
    } else if (c === MINUS || (c >= DIGIT_0 && c <= DIGIT_9)) {
      const end = endOfNumber(text, at);
      suspect ||= end < 0;
      at = Math.abs(end) - 1;
    } else if (c === OPEN_BRACE || c === OPEN_BRACKET) {
      if (++depth > deepest) deepest = depth;
    } else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) {
      depth--;
    }
  }
  return { depth: deepest, names, suspect };
};

const countNames = (value: unknown): number => {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const element of value) count += countNames(element);
    return count;
  }
  const members = value as Record<string, unknown>;
  for (const name in members) count += 1 + countNames(members[name]);
  return count;
};

const refuse = (detail: string): Problem => validationFailed([{ path: '', message: detail }]);

const parseText = (text: string): Json => {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw refuse(`the body must be JSON: ${(error as SyntaxError).message}`);
  }
};

/**
 * The value of a body.
 * @throws Problem `validation_failed` when the bytes are not UTF-8 or not JSON, nest deeper than `MAX_DEPTH`, repeat a
 *   name in one object, or hold a number that a double would change, `\u0000` or a lone surrogate; with the paths.
 */
export const parseJsonBody = (bytes: Buffer): Json => {
  if (!isUtf8(bytes)) throw refuse('the body must be UTF-8');
  const text = bytes.toString('utf8');
  const { depth, names, suspect } = scan(text);
  if (depth > MAX_DEPTH) throw refuse(`the body must not nest deeper than ${MAX_DEPTH}`);
  const value = parseText(text);
  if (suspect || countNames(value) !== names) throw validationFailed(findDefects(text));
  return value;
};

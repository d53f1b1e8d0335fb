/**
 * Arrays in PostgreSQL's binary format. `pg` sends a `Buffer` parameter in binary, and the server reads such an array
 * without parsing: with text arrays the append took 22 % longer, with jsonb 8 %.
 *
 * Format: int32 dimensions, int32 has-nulls, oid of the element, int32 length, int32 lower bound, then per element
 * int32 length (-1 for null) and bytes. https://www.postgresql.org/docs/18/protocol-overview.html#PROTOCOL-FORMAT-CODES
 */
import type { BesideColumn } from '../beside-table.js';
import { writeUuid } from '../uuid-bytes.js';

export type ArrayType = BesideColumn<never>['type'];
export type ArrayValue = string | number | bigint | boolean | Uint8Array | null;

export interface Codec {
  readonly oid: number;
  /** Bytes of an element; absent: they differ. */
  readonly size?: number;
  /** Most bytes that a value takes, where they differ: cheaper to know than how many they are. */
  readonly room?: (value: ArrayValue) => number;
  /** @returns how many bytes were written */
  readonly write: (buffer: Buffer, value: ArrayValue, offset: number) => number;
}

/** PostgreSQL counts microseconds from 2000-01-01. */
const EPOCH_OFFSET_MS = 946_684_800_000;

const int8 = (buffer: Buffer, value: bigint, offset: number): number => buffer.writeBigInt64BE(value, offset) - offset;

/** Up to here it is faster to write the characters one by one than to call out of JavaScript. */
const SHORT = 48;

/** False when the text has others than ASCII, or \\u0000; then what was written does not count. */
const writeAscii = (buffer: Buffer, text: string, offset: number): boolean => {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === 0 || code > 127) return false;
    buffer[offset + index] = code;
  }
  return true;
};

const codecs: Readonly<Record<ArrayType, Codec>> = {
  uuid: {
    oid: 2950,
    size: 16,
    write: (buffer, value, offset) => {
      writeUuid(buffer, String(value), offset);
      return 16;
    },
  },
  text: {
    oid: 25,
    // A UTF-16 unit takes three bytes of UTF-8 at most.
    room: (value) => 3 * (value as string).length,
    write: (buffer, value, offset) => {
      const text = value as string;
      if (text.length <= SHORT && writeAscii(buffer, text, offset)) return text.length;
      if (text.includes('\0')) throw new TypeError('PostgreSQL stores no text with \\u0000');
      return buffer.write(text, offset);
    },
  },
  int4: { oid: 23, size: 4, write: (buffer, value, offset) => buffer.writeInt32BE(value as number, offset) - offset },
  int8: {
    oid: 20,
    size: 8,
    write: (buffer, value, offset) => int8(buffer, BigInt(value as string | number | bigint), offset),
  },
  bool: {
    oid: 16,
    size: 1,
    write: (buffer, value, offset) => buffer.writeUInt8(value === true ? 1 : 0, offset) - offset,
  },
  timestamptz: {
    oid: 1184,
    size: 8,
    write: (buffer, value, offset) =>
      int8(buffer, BigInt(Math.round(((value as number) - EPOCH_OFFSET_MS) * 1000)), offset),
  },
  bytea: {
    oid: 17,
    room: (value) => (value as Uint8Array).length,
    write: (buffer, value, offset) => {
      buffer.set(value as Uint8Array, offset);
      return (value as Uint8Array).length;
    },
  },
};

export const codecOf = (type: ArrayType): Codec => codecs[type];

/** Bytes before the first element of an array that has some. */
export const HEADER = 20;

/**
 * @param values `uuid` as text, `timestamptz` as epoch milliseconds, `int8` also as digits
 * @throws RangeError, TypeError when a value does not fit the type
 */
export const binaryArray = (type: ArrayType, values: readonly ArrayValue[]): Buffer => {
  const { oid, size, room, write } = codecs[type];
  const most = values.reduce<number>((sum, value) => sum + 4 + (value === null ? 0 : (size ?? room!(value))), HEADER);
  const buffer = Buffer.allocUnsafe(most);
  buffer.writeInt32BE(values.length === 0 ? 0 : 1, 0);
  buffer.writeInt32BE(values.includes(null) ? 1 : 0, 4);
  buffer.writeInt32BE(oid, 8);
  if (values.length === 0) return buffer.subarray(0, 12);
  buffer.writeInt32BE(values.length, 12);
  buffer.writeInt32BE(1, 16);
  let offset = HEADER;
  for (const value of values) {
    const start = offset + 4;
    const bytes = value === null ? 0 : write(buffer, value, start);
    buffer.writeInt32BE(value === null ? -1 : bytes, offset);
    offset = start + bytes;
  }
  return buffer.subarray(0, offset);
};

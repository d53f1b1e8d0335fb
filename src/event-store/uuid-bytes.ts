/** UUIDs as bytes. Character by character: a third of the time of taking the hyphens out and writing hex. */

/** Value of a hex digit by its character code; 255 for what is none. */
const DIGITS = Uint8Array.from({ length: 128 }, (_, code) => {
  const value = Number.parseInt(String.fromCharCode(code), 16);
  return Number.isNaN(value) ? 255 : value;
});

const digit = (text: string, at: number): number => DIGITS[text.charCodeAt(at)] ?? 255;

const LENGTH = 36;
const HYPHENS: ReadonlySet<number> = new Set([8, 13, 18, 23]);
/** Where each byte's first digit stands. */
const PLACES = Array.from({ length: LENGTH }, (_, at) => at)
  .filter((at) => !HYPHENS.has(at))
  .filter((_, n) => n % 2 === 0);

/**
 * Writes the 16 bytes of a UUID of either case.
 * @throws TypeError when the text is none
 */
export const writeUuid = (bytes: Uint8Array, text: string, offset: number): void => {
  let isHex = text.length === LENGTH;
  for (let n = 0; n < 16; n += 1) {
    const at = PLACES[n]!;
    const high = digit(text, at);
    const low = digit(text, at + 1);
    isHex &&= high < 16 && low < 16;
    bytes[offset + n] = (high << 4) | low;
  }
  for (const at of HYPHENS) isHex &&= text.charCodeAt(at) === 45;
  if (!isHex) throw new TypeError(`${text} is no UUID`);
};

/** @param bytes the 16 of a UUID, a character each */
export const readUuid = (bytes: string): string => {
  const hex = Buffer.from(bytes, 'latin1').toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
};

/**
 * Does a double keep the number that was written? Clients of other languages send 64-bit ids and exact decimals; a
 * number that comes back changed is worse than a refused one.
 */

interface Decimal {
  readonly digits: string;
  readonly exponent: number;
}

const ZERO = 0x30;

/** Significant digits and power of ten: `0.0120e5` is digits `12`, exponent 2. Linear in the token, whatever it holds. */
const decimalOf = (token: string): Decimal => {
  const [mantissa = '', power = '0'] = token.replace('-', token.startsWith('-') ? '' : '-').split(/[eE]/);
  const [whole = '', fraction = ''] = mantissa.split('.');
  const digits = whole + fraction;
  let start = 0;
  while (digits.charCodeAt(start) === ZERO) start++;
  let end = digits.length;
  while (end > start && digits.charCodeAt(end - 1) === ZERO) end--;
  return { digits: digits.slice(start, end), exponent: Number(power) - fraction.length + (digits.length - end) };
};

/**
 * True when the shortest text of the double nearest to `token` is the same decimal value: `0.1`, `1.0` and `1e23` are,
 * `9007199254740993`, `1e400` and `1e-400` are not.
 * @param token a number as JSON writes it.
 */
export const isExactNumber = (token: string): boolean => {
  const double = Number(token);
  const shortest = String(double);
  if (shortest === token) return true;
  const written = decimalOf(token);
  if (double === 0 || !Number.isFinite(double)) return double === 0 && written.digits === '';
  const kept = decimalOf(shortest);
  return written.digits === kept.digits && written.exponent === kept.exponent;
};

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isExactNumber } from '../../src/api/exact-number.js';
import { MAX_DEPTH, parseJsonBody } from '../../src/api/json-body.js';
import { Problem } from '../../src/api/problem.js';

const parse = (text: string): unknown => parseJsonBody(Buffer.from(text));

const refusalOf = (bytes: Buffer | string): Problem => {
  try {
    parseJsonBody(Buffer.from(bytes as string));
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('was accepted');
};

const pathsOf = (text: string): string[] => refusalOf(text).errors.map((error) => error.path);

/** By hand and by exact integers: is the decimal written the decimal that its double prints? */
const slowlyExact = (token: string): boolean => {
  const fraction = (decimal: string): readonly [bigint, number] => {
    const [, sign = '', whole = '', part = '', power = '0'] =
      /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(decimal) ?? [];
    return [BigInt(`${whole}${part}`) * (sign === '-' ? -1n : 1n), Number(power) - part.length];
  };
  const double = Number(token);
  if (!Number.isFinite(double)) return false;
  const [a, powerOfA] = fraction(token);
  const [b, powerOfB] = fraction(String(double));
  const lowest = Math.min(powerOfA, powerOfB);
  return a * 10n ** BigInt(powerOfA - lowest) === b * 10n ** BigInt(powerOfB - lowest);
};

const digits = (max: number) => fc.stringMatching(new RegExp(`^[0-9]{1,${max}}$`));

const numberToken = fc
  .tuple(
    fc.boolean(),
    fc.oneof(fc.constant('0'), fc.stringMatching(/^[1-9][0-9]{0,24}$/)),
    fc.option(digits(24)),
    fc.option(fc.tuple(fc.constantFrom('e', 'E', 'e+', 'e-'), digits(3))),
  )
  .map(([minus, whole, part, power]) =>
    [minus ? '-' : '', whole, part === null ? '' : `.${part}`, power === null ? '' : power.join('')].join(''),
  );

/** JSON text of a value in which names may repeat and strings are escaped at random. */
const escaped = fc
  .array(
    fc.oneof(
      fc.constantFrom('a', 'ü', '😀', '\\n', '\\"', '\\\\', '\\/', ' ', ':', '{', '[', ',', '1'),
      fc.constantFrom('\\u0041', '\\u0000', '\\ud83d', '\\ude00', '\\ud83d\\ude00', '\\uD83D\\uDE00', '\\\\u0000'),
    ),
    { maxLength: 6 },
  )
  .map((parts) => `"${parts.join('')}"`);

const { json: jsonText } = fc.letrec<{ json: string }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(numberToken, escaped, fc.constantFrom('true', 'false', 'null', '[]', '{}', ' 7 ')),
    fc.array(tie('json'), { maxLength: 4 }).map((elements) => `[${elements.join(' , ')}]`),
    fc
      .array(fc.tuple(fc.oneof(escaped, fc.constantFrom('"a"', '"b"')), tie('json')), { maxLength: 4 })
      .map((members) => `{ ${members.map(([key, value]) => `${key} :${value}`).join(',')} }`),
  ),
}));

/** Reads JSON one character at a time, and says whether anything in it must be refused. */
const isKept = (text: string): boolean => {
  let kept = true;
  let at = 0;
  const next = (): string => {
    while (/\s/.test(text[at] ?? '')) at++;
    return text[at] ?? '';
  };
  const readString = (): string => {
    const match = /"(?:[^"\\]|\\.)*"/y;
    match.lastIndex = at;
    const [token] = match.exec(text)!;
    at += token.length;
    const value = JSON.parse(token) as string;
    if (value.includes('\0') || Buffer.from(value).toString() !== value) kept = false;
    return value;
  };
  const readList = (close: string, readOne: () => void): void => {
    at++;
    while (next() !== close) {
      if (text[at] === ',') at++;
      next();
      readOne();
    }
    at++;
  };
  const read = (): void => {
    if (next() === '"') readString();
    else if (text[at] === '[') readList(']', read);
    else if (text[at] === '{') {
      const names: string[] = [];
      readList('}', () => {
        names.push(readString());
        next();
        at++;
        read();
      });
      if (new Set(names).size < names.length) kept = false;
    } else {
      const [token] = /^[^\s,\]}]+/.exec(text.slice(at))!;
      at += token.length;
      if (!/^[tfn]/.test(token) && !slowlyExact(token)) kept = false;
    }
  };
  read();
  return kept;
};

describe('a number', () => {
  it.each([
    '0',
    '-0',
    '0.1',
    '1.0',
    '1e23',
    '0.30000000000000004',
    '9007199254740992',
    '1E+2',
    '0e999',
    '5e-324',
    '1.50',
  ])('that a double keeps is accepted: %s', (token) => {
    expect(isExactNumber(token)).toBe(true);
    expect(parse(`{"n":${token}}`)).toEqual({ n: Number(token) });
  });

  it.each([
    '9007199254740993',
    '1e400',
    '-1e400',
    '1e-400',
    '3.141592653589793238',
    '0.1000000000000000055',
    '36893488147419103232',
  ])('that a double changes is refused: %s', (token) => {
    expect(isExactNumber(token)).toBe(false);
    expect(pathsOf(`{"jobs":[{},{"payload":{"a":${token}}}]}`)).toEqual(['jobs[1].payload.a']);
  });

  it('is judged as exact integer arithmetic judges it', () => {
    fc.assert(
      fc.property(numberToken, (token) => isExactNumber(token) === slowlyExact(token)),
      { numRuns: 3_000 },
    );
  });

  it('that a double prints is always kept', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (n) => isExactNumber(JSON.stringify(n))),
    );
  });

  it('of a million digits is judged in one pass', () => {
    expect(isExactNumber(`1${'0'.repeat(200)}${'0'.repeat(1_000_000)}1`)).toBe(false);
    expect(isExactNumber(`0.${'0'.repeat(1_000_000)}`)).toBe(true);
  });
});

describe('a body', () => {
  it('is read as JSON.parse reads it, or refused where something would be lost', () => {
    fc.assert(
      fc.property(jsonText, (text) => {
        if (!isKept(text)) return refusalOf(text).code === 'validation_failed' && refusalOf(text).errors.length > 0;
        expect(parse(text)).toEqual(JSON.parse(text));
        return true;
      }),
      { numRuns: 3_000 },
    );
  });

  it('of any JSON value is read back', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const text = JSON.stringify(value);
        if (text.includes('\\u0000') || /\\ud[89a-f]/.test(text)) return;
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it.each([
    ['{"a":1,"a":2}', ['a']],
    ['{"x":{"a":1,"b":2,"a":3}}', ['x.a']],
    ['{"a":1,"\\u0061":2}', ['a']],
    ['{"__proto__":1,"__proto__":2}', ['__proto__']],
    ['{"a b":{"1":{"c":1e999}}}', ['["a b"]["1"].c']],
    ['["\\u0000"]', ['[0]']],
    ['{"a":"\\ud800"}', ['a']],
    ['{"a":"\\ude00\\ud83d"}', ['a']],
    ['{"a":"\\ud83d\\u0041"}', ['a']],
    ['{"\\u0000":1}', ['["\\u0000"]']],
    ['{"\\ud800":1}', ['["\\ud800"]']],
    ['1e999', ['']],
    ['{"a":[1e999,{"b":1e999}],"c":"\\u0000"}', ['a[0]', 'a[1].b', 'c']],
  ])('that loses something is refused with the path: %s', (text, paths) => {
    expect(pathsOf(text)).toEqual(paths);
  });

  it.each([
    '{"a":"\\ud83d\\ude00"}',
    '{"a":"\\\\u0000"}',
    '{"a":"\\\\ud800"}',
    '{"__proto__":1,"constructor":{"prototype":null}}',
    '{"a":{"a":{"a":[{"a":1},{"a":1}]}}}',
    '{"a:b":"c:{d"}',
  ])('that only looks suspicious is accepted: %s', (text) => {
    expect(JSON.stringify(parse(text))).toBe(JSON.stringify(JSON.parse(text)));
  });

  it('nests as deep as allowed and no deeper', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    expect(parse(nested(MAX_DEPTH))).toBeInstanceOf(Array);
    expect(refusalOf(nested(MAX_DEPTH + 1)).message).toMatch(/deeper than 100/);
    expect(refusalOf('{"a":'.repeat(100_000)).message).toMatch(/deeper than 100/);
    expect(refusalOf(`["\\ud800",${nested(100_000)}]`).message).toMatch(/deeper than 100/);
  });

  it('must be UTF-8', () => {
    expect(refusalOf(Buffer.from([0x22, 0xff, 0x22])).message).toMatch(/UTF-8/);
    expect(refusalOf(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])).message).toMatch(/UTF-8/);
    expect(parse('"ü😀"')).toBe('ü😀');
  });

  it.each(['', '{', '{"a":}', 'nul', '{"a":1,}', "{'a':1}", '[1 2]', '01', '"\n"', '{"a":"\\u00', '"\\', '\ufeff{}'])(
    'must be JSON: %j',
    (text) => {
      expect(refusalOf(text).code).toBe('validation_failed');
    },
  );

  it('is refused for at most fifty places at once', () => {
    expect(refusalOf(`[${Array(80).fill('1e999').join()}]`).errors).toHaveLength(50);
  });
});

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson, inCanonicalOrder, NotCanonical } from '../../src/event-store/canonical-json.js';

describe('canonical JSON', () => {
  it('writes the example of RFC 8785', () => {
    const value = {
      numbers: [333333333.33333329, 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '\u20ac$\u000f\u000aA\'\u0042\u0022\u005c\\"/',
      literals: [null, true, false],
    };
    expect(canonicalJson(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  it('orders keys by UTF-16 code units, as RFC 8785 does', () => {
    const keys = ['\u20ac', '\r', '\ufb33', '1', '\ud83d\ude00', '\u0080', '\u00f6'];
    const value = Object.fromEntries(keys.map((key, n) => [key, n]));
    expect(
      Object.values(
        JSON.parse(
          `[${canonicalJson(value)
            .match(/\d(?=[,}])/g)!
            .join()}]`,
        ) as number[],
      ),
    ).toEqual([1, 3, 5, 6, 0, 4, 2]);
  });

  it('writes -0 as 0, and keys that look like indexes in the same order as others', () => {
    expect(canonicalJson({ 10: -0, 9: 1, a: 2 })).toBe('{"10":0,"9":1,"a":2}');
  });

  it('is the same for values that are equal, and reads back as the value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!/\\u0000|\\ud[89a-f]/i.test(text));
        const canonical = canonicalJson(value);
        expect(JSON.parse(canonical)).toEqual(JSON.parse(text));
        expect(canonicalJson(reordered(value))).toBe(canonical);
      }),
    );
  });

  it.each<[string, unknown, string]>([
    ['undefined', { a: { b: undefined } }, 'data.a.b is undefined'],
    ['undefined in an array', [undefined], 'data[0] is undefined'],
    ['a hole in an array', new Array(1), 'data[0] is undefined'],
    ['NaN', [1, NaN], 'data[1] is NaN'],
    ['infinity', { n: -Infinity }, 'data.n is -Infinity'],
    ['a bigint', { n: 1n }, 'data.n is a bigint'],
    ['a function', { f: () => 1 }, 'data.f is a function'],
    ['a symbol', { s: Symbol('s') }, 'data.s is a symbol'],
    ['a date', { d: new Date(0) }, 'data.d is not a plain object'],
    ['a map', new Map(), 'data is not a plain object'],
    ['\\u0000', { a: 'x\0' }, 'data.a holds \\u0000 or half of a surrogate pair'],
    ['a lone high surrogate', '\ud83d', 'data holds \\u0000 or half of a surrogate pair'],
    ['a lone low surrogate', '\ude00x', 'data holds \\u0000 or half of a surrogate pair'],
    ['\\u0000 in a key', { a: { '\0': 1 } }, 'data.a."\\u0000" holds \\u0000 or half of a surrogate pair'],
  ])('refuses %s and says where', (_, value, message) => {
    expect(() => canonicalJson(value, 'data')).toThrow(new NotCanonical(message));
  });

  it('refuses a cycle', () => {
    const value: Record<string, unknown> = {};
    value['self'] = [value];
    expect(() => canonicalJson(value)).toThrow('nested deeper than 200 levels');
  });

  it('takes whole surrogate pairs and objects without a prototype', () => {
    expect(canonicalJson(Object.assign(Object.create(null) as object, { a: '😀' }))).toBe('{"a":"😀"}');
  });
});

describe('a value in canonical order', () => {
  it('has its members in the order in which they are read back', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!text.includes('\\u'));
        const readBack = JSON.stringify(JSON.parse(canonicalJson(value)));
        expect(JSON.stringify(inCanonicalOrder(reordered(value)))).toBe(readBack);
      }),
    );
  });

  it('keeps a member called __proto__', () => {
    const value = JSON.parse('{"b":1,"__proto__":{"d":1,"c":2}}') as unknown;
    expect(JSON.stringify(inCanonicalOrder(value))).toBe('{"__proto__":{"c":2,"d":1},"b":1}');
  });

  it('is itself when its order is canonical', () => {
    const value = { a: [{ b: 1, c: null }], d: 'e' };
    expect(inCanonicalOrder(value)).toBe(value);
  });
});

const reordered = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(reordered);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, member]) => [key, reordered(member)] as const);
  return Object.fromEntries(entries.reverse());
};

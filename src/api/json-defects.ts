/**
 * Says where a JSON text cannot be kept as it was written. The slow half of `json-body.ts`: it runs only when the
 * fast scan has seen something, so it may take its time to name every path.
 */
import { isExactNumber } from './exact-number.js';
import { pathOf } from './json-path.js';
import { type FieldError, MAX_FIELD_ERRORS } from './problem.js';

const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const SCALAR = /[^\s,\]}]+/y;
const LITERALS: readonly string[] = ['true', 'false', 'null'];
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
/** Of a number, in a message. */
const MAX_SHOWN = 40;

class DefectFinder {
  readonly found: FieldError[] = [];
  private readonly trail: (string | number)[] = [];
  private at = 0;

  constructor(private readonly text: string) {}

  /** Reads one value. The text is known to be valid JSON, nested no deeper than the parser allows. */
  value(): void {
    const first = this.peek();
    if (first === OPEN_BRACE) this.object();
    else if (first === OPEN_BRACKET) this.array();
    else if (first === QUOTE) this.string('');
    else this.scalar();
  }

  private get full(): boolean {
    return this.found.length >= MAX_FIELD_ERRORS;
  }

  private add(message: string): void {
    if (this.full) return;
    const path = pathOf(this.trail);
    this.found.push({ path, message: `${path === '' ? 'the body' : path} ${message}` });
  }

  /** The next character that is no white space. */
  private peek(): number {
    while (this.text.charCodeAt(this.at) <= SPACE) this.at++;
    return this.text.charCodeAt(this.at);
  }

  private object(): void {
    const seen = new Set<string>();
    const depth = this.trail.length;
    this.at++;
    for (let next = this.peek(); next !== CLOSE_BRACE && !this.full; next = this.peek()) {
      if (next === COMMA) {
        this.at++;
        this.peek();
      }
      this.trail[depth] = '';
      const name = this.string('has a name that ');
      if (seen.has(name)) this.add('is given more than once');
      seen.add(name);
      this.peek();
      this.at++;
      this.value();
    }
    this.trail.length = depth;
    this.at++;
  }

  private array(): void {
    const depth = this.trail.length;
    this.at++;
    let index = 0;
    for (let next = this.peek(); next !== CLOSE_BRACKET && !this.full; next = this.peek()) {
      if (next === COMMA) this.at++;
      this.trail[depth] = index++;
      this.value();
    }
    this.trail.length = depth;
    this.at++;
  }

  /** Reads a value, or with a `subject` the name of a member, and judges it. */
  private string(subject: string): string {
    let end = this.at + 1;
    let escaped = false;
    for (let c = this.text.charCodeAt(end); c !== QUOTE; c = this.text.charCodeAt(end)) {
      escaped ||= c === BACKSLASH;
      end += c === BACKSLASH ? 2 : 1;
    }
    const raw = this.text.slice(this.at, end + 1);
    this.at = end + 1;
    const value = escaped ? (JSON.parse(raw) as string) : raw.slice(1, -1);
    if (subject !== '') this.trail[this.trail.length - 1] = value;
    if (escaped && value.includes('\u0000')) this.add(`${subject}must not hold \\u0000`);
    if (escaped && LONE_SURROGATE.test(value)) this.add(`${subject}must not hold a lone surrogate`);
    return value;
  }

  private scalar(): void {
    SCALAR.lastIndex = this.at;
    const token = SCALAR.exec(this.text)?.[0] ?? '';
    this.at += token.length;
    if (LITERALS.includes(token) || isExactNumber(token)) return;
    const shown = token.length > MAX_SHOWN ? `${token.slice(0, MAX_SHOWN)}…` : token;
    const double = Number(token);
    const fate = Number.isFinite(double) ? `would become ${double}` : 'is out of range';
    this.add(`must be a number that a double keeps: ${shown} ${fate}; send it as a string`);
  }
}

/**
 * Every place, in order, at most `MAX_FIELD_ERRORS`, where parsing would lose or refuse something: repeated names,
 * numbers that a double changes, `\u0000`, lone surrogates.
 * @param text valid JSON.
 */
export const findDefects = (text: string): readonly FieldError[] => {
  const finder = new DefectFinder(text);
  finder.value();
  return finder.found;
};

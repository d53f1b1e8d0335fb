/**
 * Answers what the router cannot: why a request matched no route. Asked only then, so it may compare one by one.
 */
import type { NotBuiltRoute } from './not-built.js';
import { methodNotAllowed, notFound, notImplemented, type Problem } from './problem.js';

interface Pattern {
  readonly path: string;
  readonly matches: RegExp;
  readonly methods: ReadonlySet<string>;
}

const PART = /::|:[A-Za-z]\w*|\*|[^:*]+/g;

/** Matches paths as the router does: `:name` is one segment that is not empty, `*` the rest, `::` a colon. */
const compile = (path: string): RegExp => {
  const source = (path.match(PART) ?? []).map((part) => {
    if (part === '::') return ':';
    if (part === '*') return '.*';
    return part.startsWith(':') ? '[^/]+' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${source.join('')}$`);
};

const pathOnly = (url: string): string => url.split(/[?#]/, 1)[0] ?? '';

export class RouteTable {
  private readonly built = new Map<string, Pattern & { readonly methods: Set<string> }>();
  private readonly notBuilt: readonly (Pattern & { readonly part: string })[];

  constructor(
    notBuilt: readonly NotBuiltRoute[],
    /** What is told of a path that nothing is at. */
    private readonly nothingThere: string,
  ) {
    this.notBuilt = notBuilt.map(({ path, methods, part }) => ({
      path,
      part,
      matches: compile(path),
      methods: new Set(methods),
    }));
  }

  /**
   * Notes a route that exists.
   * @throws Error when the table of what is not built names it too.
   */
  add(methods: readonly string[], path: string): void {
    const known = this.built.get(path) ?? { path, matches: compile(path), methods: new Set<string>() };
    methods.forEach((method) => known.methods.add(method));
    this.built.set(path, known);
    const stale = this.notBuilt.find(
      (entry) =>
        entry.path.replace(/:\w+/g, ':') === path.replace(/:\w+/g, ':') && methods.some((m) => entry.methods.has(m)),
    );
    if (stale !== undefined)
      throw new Error(`${methods.join(', ')} ${path} is built: take it out of src/api/not-built.ts`);
  }

  /** Why nothing answers `method url`: 501 when it is not built yet, 405 when the path has other methods, else 404. */
  refusal(method: string, url: string): Problem {
    const path = pathOnly(url);
    const missing = this.notBuilt.filter((entry) => entry.matches.test(path));
    const planned = missing.find((entry) => entry.methods.has(method));
    const allowed = new Set([...this.built.values()].flatMap((e) => (e.matches.test(path) ? [...e.methods] : [])));
    const entry = planned ?? (allowed.size === 0 ? missing[0] : undefined);
    if (entry !== undefined)
      return notImplemented(`${method} ${entry.path.replaceAll('::', ':')}: ${entry.part} is not built yet`);
    return allowed.size > 0 ? methodNotAllowed(method, [...allowed].sort()) : notFound(this.nothingThere);
  }
}

/**
 * How a worker keeps away from jobs that it gave back by itself (`ReleaseError`). The ledger queues them at once, for
 * whoever wants them; the worker that did not would get the same job again, give it back, and so on without a pause.
 */
import type { Job } from '../api/contract.js';
import { backoffMs, type Clock } from './clock.js';

const INITIAL_MS = 500;
const MAX_MS = 15_000;
/** Jobs whose releases are counted; of more, the one that was not released for longest is forgotten. */
const MAX_JOBS = 1_000;

interface Avoided {
  /** One after another, without an attempt of the type that ended otherwise. */
  readonly releases: number;
  /** On the client's clock. */
  readonly until: number;
}

export class ReleaseBackoff {
  readonly #clock: Clock;
  readonly #types = new Map<string, Avoided>();
  /** How often each was released in a row. */
  readonly #jobs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * What others of the type were given back meanwhile lengthens no pause: they were claimed before.
   * @returns how often this job was released in a row, without an attempt here that ended otherwise
   */
  released({ id, type }: Pick<Job, 'id' | 'type'>): number {
    const times = (this.#jobs.get(id) ?? 0) + 1;
    this.#jobs.delete(id);
    this.#jobs.set(id, times);
    if (this.#jobs.size > MAX_JOBS) this.#jobs.delete(this.#jobs.keys().next().value!);
    this.#avoid(type);
    return times;
  }

  #avoid(type: string): void {
    if (this.#isAvoided(type)) return;
    const releases = (this.#types.get(type)?.releases ?? 0) + 1;
    const until = this.#clock.now() + backoffMs(this.#clock, releases, INITIAL_MS, MAX_MS);
    this.#types.set(type, { releases, until });
  }

  /** Work of this type is done: the next release is a first one. A pause that runs goes on, as others may still succeed. */
  worked({ id, type }: Pick<Job, 'id' | 'type'>): void {
    this.#jobs.delete(id);
    const known = this.#types.get(type);
    if (known !== undefined && this.#isAvoided(type)) this.#types.set(type, { ...known, releases: 0 });
    else this.#types.delete(type);
  }

  /**
   * The types of `wanted` that may be claimed now; none: wait first. Who wants any type cannot leave one out.
   * @returns `ms`: so long this holds, Infinity when it holds until the next release
   */
  ask(wanted: readonly string[] | undefined): { readonly types: readonly string[] | undefined; readonly ms: number } {
    const now = this.#clock.now();
    const avoided = [...(wanted ?? this.#types.keys())].filter((type) => this.#isAvoided(type));
    const ms = Math.min(...avoided.map((type) => Math.ceil((this.#types.get(type)?.until ?? now) - now)));
    if (wanted === undefined) return { types: avoided.length === 0 ? undefined : [], ms };
    return { types: wanted.filter((type) => !avoided.includes(type)), ms };
  }

  #isAvoided(type: string): boolean {
    return (this.#types.get(type)?.until ?? -Infinity) > this.#clock.now();
  }
}

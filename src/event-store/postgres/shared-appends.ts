/**
 * Appends that are called at once go to the database in one call: it costs as much as fifteen requests in it, most of all
 * the wait for the disk. Each caller gets the results of its own requests.
 */
import { nextBatchSize } from '../batch-size.js';
import type { AppendRequest, AppendResult } from '../event-store.js';

type Append = (requests: readonly AppendRequest[]) => Promise<readonly AppendResult[]>;

interface Call {
  readonly requests: readonly AppendRequest[];
  readonly resolve: (results: readonly AppendResult[]) => void;
  readonly reject: (error: unknown) => void;
}

const sizeOf = (calls: readonly Call[]): number => calls.reduce((sum, { requests }) => sum + requests.length, 0);

/** All requests of the calls. Groups of one call stay apart from those of another. */
const requestsOf = (calls: readonly Call[]): readonly AppendRequest[] => {
  if (calls.length === 1) return calls[0]!.requests;
  let groups = 0;
  return calls.flatMap(({ requests }) => {
    const first = groups;
    return requests.map((request) => {
      if (request.group === undefined) return request;
      groups = Math.max(groups, first + request.group + 1);
      return { ...request, group: first + request.group };
    });
  });
};

export class SharedAppends {
  #waiting: Call[] = [];
  #sent = 0;
  #inFlight = 0;
  #forming = false;
  readonly #idleWaiters: (() => void)[] = [];

  constructor(private readonly write: Append) {}

  append(requests: readonly AppendRequest[]): Promise<readonly AppendResult[]> {
    if (requests.length === 0) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ requests, resolve, reject });
      this.#formSoon();
    });
  }

  /** Resolves when everything that was asked for is settled. */
  async idle(): Promise<void> {
    if (this.#waiting.length === 0 && this.#inFlight === 0) return;
    await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Once this turn of the event loop is over: calls that come in one turn go together. */
  #formSoon(): void {
    if (this.#forming) return;
    this.#forming = true;
    setImmediate(() => {
      this.#forming = false;
      this.#form();
    });
  }

  #form(): void {
    for (;;) {
      const most = nextBatchSize(sizeOf(this.#waiting), this.#sent, this.#inFlight);
      if (most === 0) return;
      let end = 0;
      let size = 0;
      // The first one whatever its size.
      do size += this.#waiting[end++]!.requests.length;
      while (end < this.#waiting.length && size + this.#waiting[end]!.requests.length <= most);
      void this.#send(this.#waiting.splice(0, end));
    }
  }

  async #send(calls: readonly Call[]): Promise<void> {
    const size = sizeOf(calls);
    this.#inFlight += 1;
    this.#sent += size;
    try {
      const results = await this.write(requestsOf(calls));
      let next = 0;
      for (const { requests, resolve } of calls) resolve(results.slice(next, (next += requests.length)));
    } catch (error) {
      for (const { reject } of calls) reject(error);
    } finally {
      this.#inFlight -= 1;
      this.#sent -= size;
      if (this.#waiting.length > 0) this.#formSoon();
      else if (this.#inFlight === 0) for (const wake of this.#idleWaiters.splice(0)) wake();
    }
  }
}

/**
 * A raw HTTP client that keeps what it did: every call with when it was invoked, when it returned, and what it was
 * answered, or that nobody knows. It repeats nothing by itself, so it hides no fault.
 */
import { randomUUID } from 'node:crypto';
import { Agent, type IncomingHttpHeaders, request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SendCommandsAnswer } from '../../../src/api/contract.js';
import type { ServiceProcess } from './service-process.js';

export type Outcome =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      readonly body: unknown;
    }
  /** The connection broke or the time was up: it may have happened, now or later. */
  | { readonly kind: 'unknown'; readonly cause: string }
  /** Nothing listened: it did not happen. */
  | { readonly kind: 'not_sent'; readonly cause: string };

export interface RecordedCall {
  /** Order of invocation. */
  readonly id: number;
  /** Who called: calls of one lane come one after another, unless the test says otherwise. */
  readonly lane: string;
  readonly node: string;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly body: unknown;
  readonly key: string | null;
  readonly headers: Readonly<Record<string, string>>;
  /** One of a request of several: it has no headers of its own in the answer. */
  readonly isTogether?: true;
  /** Ticks of the recorder: of two calls, one that returned at a lower tick than the other was invoked came first. */
  readonly invokedAt: number;
  /** Null while it is in flight. */
  returnedAt: number | null;
  /** Null while it is in flight. */
  outcome: Outcome | null;
}

export interface CallOptions {
  readonly body?: unknown;
  /** Idempotency key. Absent: one of its own; null: none. */
  readonly key?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default 15 s; beyond it the outcome is unknown. */
  readonly timeoutMs?: number;
}

export interface Answer<Body = unknown> {
  readonly status: number;
  readonly body: Body;
  readonly headers: IncomingHttpHeaders;
}

/** A command of `POST /v1/commands`: its name, its job, its key, and the body of its own call. */
export interface NamedCommand {
  readonly command: string;
  readonly jobId: string;
  readonly commandId: string;
  readonly [field: string]: unknown;
}

const TIMEOUT_MS = 15_000;
/** Of each try of one that insists: a frozen process is left for another. */
const TRY_MS = 4_000;

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};

const causeOf = (error: unknown): string =>
  error instanceof Error ? `${(error as NodeJS.ErrnoException).code ?? error.name}: ${error.message}` : String(error);

/** What became of one of several: a refusal of the whole request is one of each. */
const outcomeOfOne = (outcome: Outcome, index: number): Outcome => {
  if (outcome.kind !== 'answered' || outcome.status !== 200) return outcome;
  const { status, answer, problem, replayed } = (outcome.body as SendCommandsAnswer).results[index]!;
  const headers = { ...outcome.headers, ...(replayed === true ? { 'idempotent-replayed': 'true' } : {}) };
  return { kind: 'answered', status, headers, body: answer ?? problem };
};

export class Recorder {
  readonly calls: RecordedCall[] = [];
  private agent = new Agent({ keepAlive: true, maxSockets: Infinity });
  private tick = 0;
  private nextId = 0;
  private abandoned = new AbortController();
  /** How long one that insists goes on, ms: a test in which nobody answers for so long has failed. */
  patienceMs = 60_000;
  /** Which process a lane asks next, by the lane's name. */
  readonly preferred = new Map<string, number>();

  constructor(readonly nodes: readonly ServiceProcess[]) {}

  /** Aborted when the test that runs now has failed: whoever goes on for it stops. */
  get signal(): AbortSignal {
    return this.abandoned.signal;
  }

  /** Ends what a failed test has left running, so that the next is judged by itself. */
  async abandon(): Promise<void> {
    this.abandoned.abort();
    while (this.calls.some(({ outcome }) => outcome === null)) await sleep(50);
    this.abandoned = new AbortController();
  }

  lane(name: string): Lane {
    return new Lane(this, name);
  }

  /** Sends one request and keeps what came of it; never rejects. */
  async send(lane: string, node: ServiceProcess, method: string, path: string, options: CallOptions = {}) {
    const isCommand = method !== 'GET';
    const key = options.key === undefined ? (isCommand ? randomUUID() : null) : options.key;
    const call: RecordedCall = {
      id: this.nextId++,
      ...{ lane, method, path, key, node: node.name, body: options.body ?? null, headers: options.headers ?? {} },
      invokedAt: (this.tick += 1),
      returnedAt: null,
      outcome: null,
    };
    this.calls.push(call);
    call.outcome = await this.exchange(node, call, options);
    call.returnedAt = this.tick += 1;
    return call;
  }

  /**
   * Sends commands in one request (`POST /v1/commands`), and keeps each as the call that it would have been by itself,
   * for they are judged by the same rules. Never rejects.
   */
  async sendTogether(lane: string, node: ServiceProcess, commands: readonly NamedCommand[], timeoutMs?: number) {
    const invokedAt = (this.tick += 1);
    const calls = commands.map(({ command, jobId, commandId, ...body }): RecordedCall => ({
      id: this.nextId++,
      ...{ lane, node: node.name, method: 'POST', path: `/v1/jobs/${jobId}/${command}`, key: commandId, body },
      ...{ headers: {}, isTogether: true, invokedAt, returnedAt: null, outcome: null },
    }));
    this.calls.push(...calls);
    const request = { method: 'POST', path: '/v1/commands', key: null, body: { commands }, headers: {} };
    const outcome = await this.exchange(node, request, timeoutMs === undefined ? {} : { timeoutMs });
    const returnedAt = (this.tick += 1);
    calls.forEach((call, index) => {
      call.outcome = outcomeOfOne(outcome, index);
      call.returnedAt = returnedAt;
    });
    return calls;
  }

  /** Drops what was kept so far: it is judged. Call it when nothing is in flight. */
  forget(): void {
    this.calls.length = 0;
  }

  /** The tick of now, for what happens beside calls. */
  get now(): number {
    return this.tick;
  }

  /** Cuts every connection, also under a call: its outcome is unknown then. */
  breakConnections(): void {
    this.agent.destroy();
    this.agent = new Agent({ keepAlive: true, maxSockets: Infinity });
  }

  close(): void {
    this.agent.destroy();
  }

  private exchange(
    node: ServiceProcess,
    call: Pick<RecordedCall, 'method' | 'path' | 'key' | 'body' | 'headers'>,
    options: CallOptions,
  ): Promise<Outcome> {
    const isCommand = call.method !== 'GET';
    const payload = isCommand ? JSON.stringify(call.body ?? {}) : undefined;
    return new Promise((resolve) => {
      const lost = (error: unknown): void => {
        const refused = (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
        resolve({ kind: refused ? 'not_sent' : 'unknown', cause: causeOf(error) });
      };
      const request = httpRequest(
        {
          ...{ agent: this.agent, host: '127.0.0.1', port: node.port, method: call.method, path: call.path },
          signal: AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS),
          headers: {
            ...call.headers,
            ...(call.key === null ? {} : { 'idempotency-key': call.key }),
            ...(payload === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', lost);
          response.on('end', () => {
            if (!response.complete) {
              lost(new Error('the answer was cut'));
              return;
            }
            const body = parse(Buffer.concat(chunks).toString('utf8'));
            resolve({ kind: 'answered', status: response.statusCode ?? 0, headers: response.headers, body });
          });
        },
      );
      request.on('error', lost);
      request.end(payload);
    });
  }
}

/** One client among many, that remembers where it asks. */
export class Lane {
  constructor(
    private readonly recorder: Recorder,
    readonly name: string,
  ) {}

  /** One try. */
  send(node: ServiceProcess, method: string, path: string, options?: CallOptions): Promise<RecordedCall> {
    return this.recorder.send(this.name, node, method, path, options);
  }

  /** One try that must be answered, with whatever status. */
  async ask<Body = unknown>(
    node: ServiceProcess,
    method: string,
    path: string,
    options?: CallOptions,
  ): Promise<Answer<Body>> {
    const { outcome } = await this.send(node, method, path, options);
    if (outcome?.kind !== 'answered') throw new Error(`${method} ${path} on ${node.name}: ${outcome?.cause}`);
    return outcome as Answer<Body>;
  }

  /**
   * Tries until there is an answer other than "not now" (503), with the same key, on one process after the other, as a
   * careful client would. It stays with a process as long as that answers.
   */
  async insist<Body = unknown>(method: string, path: string, options: CallOptions = {}): Promise<Answer<Body>> {
    const { nodes, preferred, signal } = this.recorder;
    const key = options.key === undefined && method !== 'GET' ? randomUUID() : (options.key ?? null);
    const waitMs = (options.body as { waitMs?: number } | undefined)?.waitMs ?? 0;
    const until = performance.now() + this.recorder.patienceMs;
    let node = preferred.get(this.name) ?? Math.floor(Math.random() * nodes.length);
    for (let tries = 0; ; tries += 1) {
      const asked = { timeoutMs: TRY_MS + waitMs, ...options, key };
      const { outcome } = await this.send(nodes[node % nodes.length]!, method, path, asked);
      preferred.set(this.name, node);
      if (outcome?.kind === 'answered' && outcome.status !== 503) return outcome as Answer<Body>;
      if (signal.aborted || performance.now() > until) {
        const last = outcome?.kind === 'answered' ? `${outcome.status}` : outcome?.cause;
        throw new Error(`${method} ${path}: gave up after ${tries + 1} tries, the last: ${last}`);
      }
      node += 1;
      if (tries >= nodes.length - 1) await sleep(Math.min(50 * tries, 250));
    }
  }

  /** The same for several commands in one request, until each of them has such an answer. */
  async insistTogether(commands: readonly NamedCommand[]): Promise<readonly Answer[]> {
    const { nodes, preferred, signal } = this.recorder;
    const until = performance.now() + this.recorder.patienceMs;
    for (let tries = 0, node = preferred.get(this.name) ?? 0; ; tries += 1, node += 1) {
      const calls = await this.recorder.sendTogether(this.name, nodes[node % nodes.length]!, commands, TRY_MS);
      preferred.set(this.name, node);
      const outcomes = calls.map(({ outcome }) => outcome);
      if (outcomes.every((outcome) => outcome?.kind === 'answered' && outcome.status !== 503)) {
        return outcomes as unknown as readonly Answer[];
      }
      if (signal.aborted || performance.now() > until) {
        throw new Error(`POST /v1/commands: gave up after ${tries + 1} tries`);
      }
      if (tries >= nodes.length - 1) await sleep(Math.min(50 * tries, 250));
    }
  }
}

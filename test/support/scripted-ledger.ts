import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ProblemCode } from '../../src/client/client.js';

/** A request as it arrived. */
export interface Received {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Record<string, unknown>;
}

/** What the server does with a request. */
export type Reply = (response: ServerResponse, request: Received) => void;

export const answer =
  (body: unknown, status = 200): Reply =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };

export const problem =
  (status: number, code: ProblemCode, headers: Record<string, string> = {}): Reply =>
  (response) => {
    response
      .writeHead(status, { 'content-type': 'application/problem+json', ...headers })
      .end(JSON.stringify({ type: 'about:blank', title: code, status, detail: `says ${code}`, code }));
  };

/** The command was taken and its answer lost. */
export const loseAnswer: Reply = (response) => {
  response.destroy();
};

export const cutAnswer: Reply = (response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
  response.write('{"jobId":', () => response.destroy());
};

export const neverAnswer: Reply = () => undefined;

/** An event stream: each piece is written as it stands, then the connection is cut, ended, or left open. */
export const stream =
  (pieces: readonly (string | Uint8Array)[], then: 'cut' | 'end' | 'open'): Reply =>
  (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    const writeNext = (index: number): void => {
      const piece = pieces[index];
      // Apart in time too, so that pieces arrive as pieces.
      if (piece !== undefined) response.write(piece, () => setImmediate(writeNext, index + 1));
      else if (then === 'cut') response.destroy();
      else if (then === 'end') response.end();
    };
    writeNext(0);
  };

/** An HTTP server that answers each call with the next reply of its script; the last one stays. */
export class ScriptedLedger {
  readonly requests: Received[] = [];
  readonly #scripts = new Map<string, Reply[]>();
  readonly #watchers = new Set<() => void>();
  readonly #hangUps = new Set<string>();

  private constructor(private readonly server: Server) {}

  static async start(): Promise<ScriptedLedger> {
    const server = createServer();
    const ledger = new ScriptedLedger(server);
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { pathname, searchParams } = new URL(request.url ?? '/', 'http://ledger');
        const text = Buffer.concat(chunks).toString();
        const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
        const { method = '', headers } = request;
        ledger.#receive({ method, path: pathname, query: searchParams, headers, body }, response);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return ledger;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** @param call as in `POST /v1/jobs`. Without a script a call is answered 501. */
  script(call: string, ...replies: Reply[]): this {
    this.#scripts.set(call, replies);
    return this;
  }

  /** The calls received so far, as in `POST /v1/jobs`. */
  get calls(): string[] {
    return this.requests.map(({ method, path }) => `${method} ${path}`);
  }

  /** Waits for the nth such call, from 1. */
  async received(call: string, nth = 1): Promise<Received> {
    const find = (): Received | undefined =>
      this.requests.filter(({ method, path }) => `${method} ${path}` === call)[nth - 1];
    await this.#until(() => find() !== undefined);
    return find()!;
  }

  /** Waits until a client has hung up on such a call. */
  async hungUp(call: string): Promise<void> {
    await this.#until(() => this.#hangUps.has(call));
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  #receive(request: Received, response: ServerResponse): void {
    const call = `${request.method} ${request.path}`;
    const replies = this.#scripts.get(call) ?? [problem(501, 'not_implemented')];
    const reply = replies.length > 1 ? replies.shift()! : replies[0]!;
    response.on('close', () => {
      if (!response.writableEnded) this.#hangUps.add(call);
      this.#changed();
    });
    reply(response, request);
    this.requests.push(request);
    this.#changed();
  }

  #changed(): void {
    for (const check of this.#watchers) check();
  }

  #until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!holds()) return;
        this.#watchers.delete(check);
        resolve();
      };
      this.#watchers.add(check);
      check();
    });
  }
}

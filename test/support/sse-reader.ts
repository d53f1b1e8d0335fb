/** Reads a stream of server-sent events of a test's application. */
export interface SseFrame {
  readonly id: string | null;
  readonly event: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test looks into frames by name.
  readonly data: any;
}

const parse = (block: string): SseFrame | undefined => {
  const fields = new Map(
    block.split('\n').map((line) => [line.split(': ', 1)[0]!, line.slice(line.indexOf(': ') + 2)]),
  );
  const data = fields.get('data');
  if (data === undefined) return undefined;
  return { id: fields.get('id') ?? null, event: fields.get('event') ?? 'message', data: JSON.parse(data) };
};

export class SseReader {
  readonly frames: SseFrame[] = [];
  private ended = false;
  private readonly waiters = new Set<() => void>();
  private readonly abort = new AbortController();

  private constructor(
    readonly status: number,
    readonly headers: Headers,
  ) {}

  static async open(url: string, headers: Record<string, string> = {}): Promise<SseReader> {
    const controller = new AbortController();
    const answer = await fetch(url, { headers, signal: controller.signal });
    const reader = new SseReader(answer.status, answer.headers);
    reader.abort.signal.addEventListener('abort', () => controller.abort());
    if (answer.status === 200 && answer.body !== null) void reader.read(answer.body);
    return reader;
  }

  /** Resolves when a frame of what was read so far, or will be, is as asked. */
  async until(test: (frames: readonly SseFrame[]) => boolean): Promise<readonly SseFrame[]> {
    while (!test(this.frames)) {
      if (this.ended) throw new Error(`the stream ended after ${JSON.stringify(this.frames.map((f) => f.event))}`);
      await this.change();
    }
    return this.frames;
  }

  /** Resolves with all frames when the server has ended the stream. */
  async end(): Promise<readonly SseFrame[]> {
    while (!this.ended) await this.change();
    return this.frames;
  }

  close(): void {
    this.abort.abort();
  }

  private change(): Promise<void> {
    return new Promise((resolve) => {
      const waiter = (): void => {
        this.waiters.delete(waiter);
        resolve();
      };
      this.waiters.add(waiter);
    });
  }

  private async read(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let text = '';
    try {
      for await (const bytes of body as unknown as AsyncIterable<Uint8Array>) {
        text += decoder.decode(bytes, { stream: true });
        const blocks = text.split('\n\n');
        text = blocks.pop() ?? '';
        for (const block of blocks) {
          const frame = parse(block);
          if (frame !== undefined) this.frames.push(frame);
        }
        this.wake();
      }
    } catch {
      // Closed by the test, or cut by the server.
    }
    this.ended = true;
    this.wake();
  }

  private wake(): void {
    for (const waiter of [...this.waiters]) waiter();
  }
}

/** A reader of server-sent events over a raw connection, that may stop reading, and be cut off. */
import { type IncomingMessage, request } from 'node:http';
import type { ServiceProcess } from './service-process.js';
import { waitFor } from './wait.js';

export interface Frame {
  /** Position of a real event; null on control frames. */
  readonly id: string | null;
  readonly event: string;
  readonly data: unknown;
}

const parseFrame = (text: string): Frame | null => {
  let id: string | null = null;
  let event = 'message';
  const data: string[] = [];
  for (const line of text.split('\n')) {
    const value = line.slice(line.indexOf(':') + 1).replace(/^ /, '');
    if (line.startsWith('id:')) id = value;
    else if (line.startsWith('event:')) event = value;
    else if (line.startsWith('data:')) data.push(value);
  }
  return data.length === 0 ? null : { id, event, data: JSON.parse(data.join('\n')) };
};

export class SseReader {
  readonly frames: Frame[] = [];
  private pending = '';
  private response: IncomingMessage | undefined;
  private ended = false;

  private constructor() {}

  /** Opens the stream and resolves when it answered. @throws Error when it answers anything but 200. */
  static open(node: ServiceProcess, path: string, lastEventId?: string): Promise<SseReader> {
    const reader = new SseReader();
    const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
    return new Promise((resolve, reject) => {
      const opening = request({ host: '127.0.0.1', port: node.port, path, headers, agent: false }, (response) => {
        if (response.statusCode !== 200) {
          response.destroy();
          reject(new Error(`GET ${path} on ${node.name}: ${response.statusCode}`));
          return;
        }
        reader.read(response);
        resolve(reader);
      });
      opening.on('error', (error) => {
        reader.ended = true;
        reject(error);
      });
      opening.end();
    });
  }

  /** Whether it ended, or was cut. */
  get hasEnded(): boolean {
    return this.ended;
  }

  /** Frames of real events. */
  get events(): readonly Frame[] {
    return this.frames.filter(({ id }) => id !== null);
  }

  get lastId(): string | undefined {
    return this.events.at(-1)?.id ?? undefined;
  }

  /** Takes nothing more from the connection, as a reader that hangs. */
  pause(): void {
    this.response?.pause();
  }

  resume(): void {
    this.response?.resume();
  }

  close(): void {
    this.response?.destroy();
  }

  /** Resolves with the first frame that fits. */
  until(what: string, fits: (frame: Frame) => boolean): Promise<Frame> {
    return waitFor(what, () => this.frames.find(fits));
  }

  private read(response: IncomingMessage): void {
    this.response = response;
    response.setEncoding('utf8');
    response.on('data', (text: string) => {
      this.pending += text;
      const parts = this.pending.split('\n\n');
      this.pending = parts.pop() ?? '';
      for (const part of parts) {
        const frame = parseFrame(part);
        if (frame !== null) this.frames.push(frame);
      }
    });
    const end = (): void => {
      this.ended = true;
    };
    response.on('end', end).on('error', end).on('close', end);
  }
}

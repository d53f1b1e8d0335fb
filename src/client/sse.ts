/**
 * Server-sent events as text, as the HTML standard defines them: lines end in LF, CRLF or CR, a blank line ends a
 * frame, `data` lines join with LF, lines that begin with a colon are comments, a frame without data is none, and
 * whatever stands after the last blank line when the stream ends was cut and is dropped.
 */

export interface SseFrame {
  /** `message` unless the frame says otherwise. */
  readonly event: string;
  readonly data: string;
  /** The frame's own id, or null: control frames have none. */
  readonly id: string | null;
}

/** Takes text in pieces cut anywhere and gives whole frames. */
export class SseParser {
  /** What the server asked for as the delay before a reconnect, in milliseconds. */
  retryMs: number | null = null;
  #rest = '';
  #atStart = true;
  /** The last piece ended in CR: an LF that begins the next one belongs to it. */
  #skipLineFeed = false;
  #event = '';
  #data: string[] = [];
  #id: string | null = null;

  push(text: string): SseFrame[] {
    const frames: SseFrame[] = [];
    for (const line of this.#lines(text)) {
      if (line !== '') this.#field(line);
      else if (this.#data.length > 0) frames.push(this.#dispatch());
      else this.#reset();
    }
    return frames;
  }

  #lines(text: string): string[] {
    let piece = text;
    if (piece === '') return [];
    if (this.#atStart && piece.startsWith('\uFEFF')) piece = piece.slice(1);
    this.#atStart = false;
    if (this.#skipLineFeed && piece.startsWith('\n')) piece = piece.slice(1);
    this.#skipLineFeed = text.endsWith('\r');
    const lines = piece.split(/\r\n|\r|\n/);
    // Only the first line can continue what was left over: joined here once, not rescanned with every piece.
    lines[0] = this.#rest + (lines[0] ?? '');
    this.#rest = lines.pop() ?? '';
    return lines;
  }

  #field(line: string): void {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (name === 'event') this.#event = value;
    else if (name === 'data') this.#data.push(value);
    else if (name === 'id' && !value.includes('\0')) this.#id = value;
    else if (name === 'retry' && /^\d+$/.test(value)) this.retryMs = Number(value);
  }

  #dispatch(): SseFrame {
    const frame = { event: this.#event || 'message', data: this.#data.join('\n'), id: this.#id };
    this.#reset();
    return frame;
  }

  #reset(): void {
    this.#event = '';
    this.#data = [];
    this.#id = null;
  }
}

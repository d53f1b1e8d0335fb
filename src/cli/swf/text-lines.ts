/** The lines of a text file, compressed with gzip or not, without holding the file. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';

/** Beyond it the end of a line is dropped: a file without line ends is not to fill the memory. */
export const LONGEST_LINE = 10_000;

const isGzip = async (path: string): Promise<boolean> => {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await file.close();
  }
};

/** Told by its first bytes, whatever it is called. */
const openText = async (path: string): Promise<Readable> => {
  const isZipped = await isGzip(path);
  const text = new PassThrough({ encoding: 'latin1' });
  const from = createReadStream(path);
  // An error of either ends the text with it.
  const copying = isZipped ? pipeline(from, createGunzip(), text) : pipeline(from, text);
  copying.catch(() => undefined);
  return text;
};

/** Lines end with LF, CR LF or CR. Many at once: one promise for each would cost more than the line. */
export class LineSplitter {
  #rest = '';

  /** @returns the lines that ended. */
  push(text: string): string[] {
    const all = this.#rest + text;
    // A CR at the end may be the first half of CR LF.
    const cut = all.endsWith('\r') ? all.length - 1 : all.length;
    const lines = all.slice(0, cut).split(/\r\n|\r|\n/);
    this.#rest = (lines.pop() ?? '').slice(0, LONGEST_LINE + 1) + all.slice(cut);
    return lines;
  }

  /** @returns what stood behind the last line end, if anything did. */
  end(): string[] {
    const [last = ''] = this.#rest.split('\r', 1);
    return last === '' && this.#rest === '' ? [] : [last];
  }
}

/** Some errors of the file system name it themselves. */
const naming = (path: string, error: unknown): unknown => {
  const { message } = error as Error;
  return message.includes(path) ? error : new Error(`${path}: ${message}`, { cause: error });
};

/** @throws Error of the file system, or of what is compressed, with the path. */
export async function* textLines(path: string): AsyncGenerator<readonly string[], void, undefined> {
  const splitter = new LineSplitter();
  try {
    for await (const text of (await openText(path)) as AsyncIterable<string>) yield splitter.push(text);
  } catch (error) {
    throw naming(path, error);
  }
  yield splitter.end();
}

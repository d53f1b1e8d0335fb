/**
 * A run while it goes on: on a terminal a few lines that are drawn again, elsewhere a line every two seconds. What is
 * said once scrolls past above them.
 */
import type { WriteStream } from 'node:tty';
import { cut } from '../text.js';

/** What is to be seen of a run, asked for again and again. */
export interface Picture {
  readonly lines: () => readonly string[];
  /** The same in one. */
  readonly line: () => string;
}

export interface Display {
  /** One line that stays. */
  readonly say: (line: string) => void;
  /** Draws from now on. */
  readonly watch: (picture: Picture) => void;
  /** Draws no more; what was drawn last stays. */
  readonly end: () => void;
}

const REDRAW_MS = 100;
const LINE_MS = 2_000;
/** Of terminals that do not say. */
const USUAL_WIDTH = 100;

const terminalDisplay = (out: WriteStream): Display => {
  let drawn = 0;
  let draw = (): void => undefined;
  let timer: NodeJS.Timeout | undefined;
  const erase = (): string => (drawn === 0 ? '' : `\u001b[${drawn}A\u001b[0J`);
  return {
    say: (line) => {
      out.write(`${erase()}${line}\n`);
      drawn = 0;
      draw();
    },
    watch: (picture) => {
      draw = () => {
        const width = (out.columns || USUAL_WIDTH) - 1;
        const now = picture.lines().map((line) => cut(line, width));
        out.write(`${erase()}${now.join('\n')}\n`);
        drawn = now.length;
      };
      timer = setInterval(() => draw(), REDRAW_MS);
    },
    end: () => {
      clearInterval(timer);
      draw();
      draw = () => undefined;
      drawn = 0;
    },
  };
};

const plainDisplay = (out: NodeJS.WritableStream, everyMs: number): Display => {
  let timer: NodeJS.Timeout | undefined;
  const say = (line: string): void => void out.write(`${line}\n`);
  return {
    say,
    watch: (picture) => {
      timer = setInterval(() => say(picture.line()), everyMs);
    },
    end: () => clearInterval(timer),
  };
};

/**
 * @param out standard output.
 * @param everyMs where no terminal reads it: how often there is a line; default 2 s.
 */
export const createDisplay = (out: NodeJS.WriteStream, everyMs = LINE_MS): Display =>
  out.isTTY ? terminalDisplay(out) : plainDisplay(out, everyMs);

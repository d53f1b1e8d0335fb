/** Where a command writes: standard output for what it was asked, standard error for what it has to say beside it. */
import { once } from 'node:events';
import { styleText } from 'node:util';
import { cut } from './text.js';

export type Style = 'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan';

export interface Terminal {
  /** Columns; null when no terminal reads the output, and nothing is to be cut. */
  readonly width: number | null;
  readonly style: (style: Style, text: string) => string;
  /** A line. Waits for a reader that is slow, until somebody interrupts. */
  readonly line: (text: string) => Promise<void>;
  /** A line on standard error. */
  readonly note: (text: string) => void;
  /** On a terminal a line on standard error that the next one replaces; null takes it away. */
  readonly status: (text: string | null) => void;
}

const USUAL_WIDTH = 80;

/**
 * `NO_COLOR` by its convention: any value but an empty one.
 * @param onLost told why nothing more can be written
 */
export const openTerminal = (
  out: NodeJS.WriteStream,
  err: NodeJS.WriteStream,
  env: NodeJS.ProcessEnv,
  onLost: (error: NodeJS.ErrnoException) => void,
  interrupted: AbortSignal,
): Terminal => {
  out.on('error', onLost);
  err.on('error', onLost);
  const drained = async (): Promise<void> => {
    await once(out, 'drain', { signal: interrupted }).catch((error: unknown) => {
      if (!interrupted.aborted) throw error;
    });
  };
  const hasColours = out.isTTY && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
  let isStatusShown = false;
  const clear = (): string => (isStatusShown ? '\r\u001b[K' : '');
  return {
    width: out.isTTY ? out.columns || USUAL_WIDTH : null,
    style: (style, text) => (hasColours ? styleText(style, text, { validateStream: false }) : text),
    line: async (text) => {
      if (!out.write(`${text}\n`)) await drained();
    },
    note: (text) => {
      err.write(`${clear()}${text}\n`);
      isStatusShown = false;
    },
    status: (text) => {
      if (!err.isTTY) return;
      err.write(`${clear()}${text === null ? '' : cut(text, (err.columns || USUAL_WIDTH) - 1)}`);
      isStatusShown = text !== null;
    },
  };
};

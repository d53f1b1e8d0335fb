/** Runs one bench as a process group of its own, so that one that hangs is cut with all that it started. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const KILL_AFTER_MS = 10_000;

/** @returns why it could not measure all; null when it did */
export const runBench = ({ node, name, flags, limitMs }) =>
  new Promise((resolve) => {
    const child = spawn(node, ['--no-warnings', join(import.meta.dirname, `${name}.mjs`), ...flags], {
      stdio: 'inherit',
      detached: true,
    });
    let isCut = false;
    const end = (signal) => {
      try {
        process.kill(-child.pid, signal);
      } catch {
        // It has just ended.
      }
    };
    const stopping = (signal) => {
      end(signal);
      process.exit(1);
    };
    const timer = setTimeout(() => {
      isCut = true;
      end('SIGTERM');
      setTimeout(() => end('SIGKILL'), KILL_AFTER_MS).unref();
    }, limitMs);
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stopping);
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      for (const each of ['SIGINT', 'SIGTERM']) process.off(each, stopping);
      if (isCut) {
        end('SIGKILL');
        resolve(`it hung, and was cut after ${limitMs / 60_000} min`);
      } else if (code === 0) resolve(null);
      else resolve(signal === null ? `exit code ${code}` : signal);
    });
  });

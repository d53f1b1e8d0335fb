/**
 * The port of a data folder's server is kept in the folder, so that the URL given to other processes stays true over
 * restarts: they recover by themselves when the server is back.
 */
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import type { DataFolder } from './data-folder.js';

/**
 * Below the ports that systems hand out to outgoing connections (from 32,768 on Linux, from 49,152 elsewhere): a client
 * that asks a closed port of those again and again ends up connected to itself, and the server could not come back.
 */
const LOWEST = 20_000;
const HIGHEST = 31_999;
const TRIES = 100;

/** The port that the folder's server had last; undefined before its first start, and when the file says nothing. */
export const readUsualPort = ({ portFile }: DataFolder): number | undefined => {
  try {
    const text = fs.readFileSync(portFile, 'utf8').trim();
    const port = Number(text);
    return /^\d+$/.test(text) && port > 0 && port < 65_536 ? port : undefined;
  } catch {
    return undefined;
  }
};

/** Only for the owner of the folder. */
export const writeUsualPort = ({ portFile }: DataFolder, port: number): void =>
  fs.writeFileSync(portFile, `${port}\n`, { mode: 0o600 });

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

/** A port of 127.0.0.1 that was free a moment ago; 0 when none was found. */
export const freePort = async (): Promise<number> => {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1));
    if (await isFree(port)) return port;
  }
  return 0;
};

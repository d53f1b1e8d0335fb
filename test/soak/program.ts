/** The program of `npm run soak`: `help.mjs` says what it does, takes, and what its exit code means. */
import { createWriteStream, mkdirSync, mkdtempSync, type WriteStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createDisplay } from '../../src/cli/demo/display.js';
import { UsageError } from '../../src/cli/usage-error.js';
import { readArguments, type SoakArguments } from './arguments.js';
import { dossier, writeDossier } from './dossier.js';
import { pictureOf, report } from './picture.js';
import { Site } from './site.js';
import { type Broken, type Progress, Soak } from './soak.js';

const EXIT = { WHOLE: 0, BROKEN: 1, USAGE: 2, NOT_RUN: 3, INTERRUPTED: 130 } as const;
/** Where no terminal reads the output. */
const LINE_EVERY_MS = 10_000;

/** npm runs from the folder of the package, and says where it was called. */
const userFolder = (): string => process.env['INIT_CWD'] ?? process.cwd();

/** Tells what processes print to a file of each. */
const outputTo = (folder: string | null): ((node: string, line: string) => void) => {
  if (folder === null) return () => undefined;
  mkdirSync(folder, { recursive: true });
  const files = new Map<string, WriteStream>();
  return (node, line) => {
    const file = files.get(node) ?? createWriteStream(join(folder, `${node}.log`));
    files.set(node, file);
    file.write(`${line}\n`);
  };
};

const enough =
  ({ minutes, lifecycles }: SoakArguments, elapsedMs: () => number) =>
  (progress: Progress): boolean =>
    lifecycles === null ? elapsedMs() >= minutes * 60_000 : progress.lifecycles >= lifecycles;

const show = async (broken: Broken, folder: string | null): Promise<void> => {
  const kept = folder ?? mkdtempSync(join(tmpdir(), 'jobledger-soak-'));
  await writeDossier(kept, broken);
  for (const line of dossier(broken)) console.log(line);
  console.log(`\nall calls, events, faults and jobs of this part: ${kept}\n`);
};

const run = async (asked: SoakArguments): Promise<number> => {
  const keep = asked.keep === null ? null : resolve(userFolder(), asked.keep);
  const interrupt = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => interrupt.abort());
  const display = createDisplay(process.stdout, LINE_EVERY_MS);
  display.say(`seed ${asked.seed}, log ${asked.log}, load ${asked.load}`);
  let site: Site;
  try {
    site = await Site.open(asked.log, outputTo(keep));
  } catch (error) {
    console.error(`it did not start: ${error instanceof Error ? error.message : String(error)}`);
    return EXIT.NOT_RUN;
  }
  const startedAt = performance.now();
  const elapsedMs = (): number => performance.now() - startedAt;
  const { seed, faults, load } = asked;
  const soak = new Soak(site, { seed, faults, load, isEnough: enough(asked, elapsedMs), signal: interrupt.signal });
  display.watch(pictureOf(asked, elapsedMs, () => soak.progress));
  try {
    const broken = await soak.run();
    display.end();
    if (broken !== null) await show(broken, keep);
    for (const line of report(asked, elapsedMs(), soak.progress)) console.log(line);
    if (broken !== null) return EXIT.BROKEN;
    return interrupt.signal.aborted ? EXIT.INTERRUPTED : EXIT.WHOLE;
  } finally {
    display.end();
    await site.close();
  }
};

try {
  process.exitCode = await run(readArguments(process.argv.slice(2), Math.random));
} catch (error) {
  console.error(error instanceof UsageError ? `${error.message}\nnpm run soak -- --help says what is taken` : error);
  process.exitCode = error instanceof UsageError ? EXIT.USAGE : EXIT.NOT_RUN;
}

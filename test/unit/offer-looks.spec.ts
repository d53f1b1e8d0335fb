/** When one look for all filters is made, and when each is searched for instead. */
import { describe, expect, it } from '@jest/globals';
import { OfferLooks } from '../../src/commands/offers.js';

describe('a look for all that is offered', () => {
  let elapsed = 0;
  let tookMs = 0;
  let made = 0;
  const offered = () => {
    made += 1;
    elapsed += tookMs;
    return Promise.resolve([{ queue: 'q', type: 't' }]);
  };
  const looks = new OfferLooks({ offered }, () => elapsed);

  it('is made for four filters and more', async () => {
    expect(await looks.look(3)).toBeNull();
    expect(made).toBe(0);
    const offers = await looks.look(4);
    expect([offers?.has({ queues: ['q'] }), offers?.has({ queues: ['r'] }), made]).toEqual([true, false, 1]);
  });

  it('that takes long is followed by none for twenty times as long', async () => {
    tookMs = 25;
    await looks.look(4);
    expect(await looks.look(4)).not.toBeNull();
    tookMs = 100;
    expect(await looks.look(4)).not.toBeNull();
    expect(made).toBe(4);
    elapsed += 1_999;
    expect(await looks.look(4)).toBeNull();
    elapsed += 1;
    expect(await looks.look(4)).not.toBeNull();
    expect(made).toBe(5);
  });
});

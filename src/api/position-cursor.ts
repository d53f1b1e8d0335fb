import { isPosition } from '../event-store/event-store.js';
import type { CursorKey } from './list-cursor.js';

/** Cursors of lists that go on after a position of the log, or a number that is counted the same way. */
export const isPositionKey = (key: CursorKey): key is readonly [string] =>
  key.length === 1 && typeof key[0] === 'string' && isPosition(key[0]);

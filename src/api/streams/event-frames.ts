/** Events as frames of a stream: each is serialised once, whoever reads it. */
import type { RecordedEvent } from '../../event-store/event-store.js';
import { viewEvent } from '../event-view.js';
import { eventFrame, type Frame, joinFrames } from '../sse-frame.js';

/** Readers of the end of the log are handed the same events: those find their frame here. */
const frames = new WeakMap<RecordedEvent, Frame>();

const frameOf = (event: RecordedEvent): Frame => {
  const made = frames.get(event);
  if (made !== undefined) return made;
  const frame = eventFrame(event.type, viewEvent(event), event.position);
  frames.set(event, frame);
  return frame;
};

/** Of one write: large enough to cost each reader one, small enough to wait for a slow one in between. */
const CHUNK_BYTES = 64 * 1024;

/** The events in order, a few writes at most. */
export function* eventFrames(events: readonly RecordedEvent[]): Generator<Frame> {
  let chunk: Frame[] = [];
  let bytes = 0;
  for (const event of events) {
    const frame = frameOf(event);
    chunk.push(frame);
    bytes += frame.bytes.length;
    if (bytes < CHUNK_BYTES) continue;
    yield joinFrames(chunk);
    chunk = [];
    bytes = 0;
  }
  const [only] = chunk;
  if (only !== undefined) yield chunk.length === 1 ? only : joinFrames(chunk);
}

/** Server-sent events as bytes. A frame is serialised once and written to as many readers as want it. */

export interface Frame {
  readonly bytes: Buffer;
  /** Of the event, sent as its id; null on frames that carry none, so that they never become a `Last-Event-ID`. */
  readonly position: string | null;
}

/** An event. With a position it can be resumed after. */
export const eventFrame = (event: string, data: unknown, position: string | null = null): Frame => {
  const id = position === null ? '' : `id: ${position}\n`;
  return { bytes: Buffer.from(`${id}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`), position };
};

/** Several frames in order as one, so that a batch costs each reader one write. */
export const joinFrames = (frames: readonly Frame[]): Frame => ({
  bytes: Buffer.concat(frames.map((frame) => frame.bytes)),
  position: frames.findLast((frame) => frame.position !== null)?.position ?? null,
});

/** Everything up to the position has been sent; what follows is live. */
export const caughtUpFrame = (position: string): Frame => eventFrame('caught-up', { position });

/** What came after `from` up to `to` was not sent: the reader finds it in the log. */
export const gapFrame = (from: string, to: string): Frame => eventFrame('gap', { from, to });

/** Keeps proxies from closing an idle connection, and finds out that a reader has gone. */
export const COMMENT_FRAME: Frame = { bytes: Buffer.from(': keep-alive\n\n'), position: null };

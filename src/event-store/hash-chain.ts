/**
 * What makes the history tamper-evident: a leaf per event, and a hash per batch that covers all before it.
 *
 *   leaf  = sha256(0x00 ‖ text(stream) ‖ id, 16 bytes ‖ text(type) ‖ int4(version) ‖ text(data) ‖ text(metadata))
 *   batch = sha256(0x01 ‖ hash of the batch before ‖ int8(batch) ‖ int8(at, epoch ms) ‖ int8(first position)
 *                       ‖ for each event: int4(revision) ‖ leaf)
 *
 * `text(s)` is int4(length) ‖ UTF-8; integers are big-endian. The revision is not in the leaf since for `any` it is
 * known only under the lock of the log, where PostgreSQL computes the batch. Positions are those of a batch in order.
 * So an event cannot change in content, stream, revision, position or time without breaking the chain from there on.
 *
 * Who owns the database can compute the whole chain anew: it is evidence against a head that is kept elsewhere.
 */
import { createHash } from 'node:crypto';

/** The hash before the first batch. */
export const GENESIS: Buffer = Buffer.alloc(32);

export interface LeafInput {
  readonly stream: string;
  /** UUID. */
  readonly id: string;
  readonly type: string;
  readonly version: number;
  /** Canonical JSON. */
  readonly data: string;
  /** Canonical JSON. */
  readonly metadata: string;
}

export const eventLeaf = (event: LeafInput): Buffer => {
  const texts = [event.stream, event.type, event.data, event.metadata];
  const lengths = texts.map((text) => Buffer.byteLength(text));
  const bytes = Buffer.allocUnsafe(1 + 16 + 4 + lengths.reduce((sum, length) => sum + 4 + length, 0));
  let end = bytes.writeUInt8(0, 0);
  const writeText = (index: number) => {
    end = bytes.writeInt32BE(lengths[index]!, end);
    end += bytes.write(texts[index]!, end);
  };
  writeText(0);
  end += bytes.write(event.id.replaceAll('-', ''), end, 'hex');
  writeText(1);
  end = bytes.writeInt32BE(event.version, end);
  writeText(2);
  writeText(3);
  return createHash('sha256').update(bytes).digest();
};

export interface BatchInput {
  /** Hash of the batch before, `GENESIS` for the first. */
  readonly previous: Uint8Array;
  /** From 1. */
  readonly batch: bigint;
  /** Epoch milliseconds. */
  readonly at: number;
  /** Position of the first event. */
  readonly first: bigint;
  readonly events: readonly { readonly revision: number; readonly leaf: Uint8Array }[];
}

export const batchHash = ({ previous, batch, at, first, events }: BatchInput): Buffer => {
  const bytes = Buffer.allocUnsafe(1 + 32 + 24 + events.length * 36);
  let end = bytes.writeUInt8(1, 0);
  bytes.set(previous, end);
  end = bytes.writeBigInt64BE(batch, end + 32);
  end = bytes.writeBigInt64BE(BigInt(at), end);
  end = bytes.writeBigInt64BE(first, end);
  for (const event of events) {
    end = bytes.writeInt32BE(event.revision, end);
    bytes.set(event.leaf, end);
    end += 32;
  }
  return createHash('sha256').update(bytes).digest();
};

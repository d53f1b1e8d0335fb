/** What an error of a client means to a caller of the port. */
import { ForeignPosition, LogUnavailable, StreamDeleted, TooLarge, Unavailable, Unsupported } from '../event-store.js';
import { MAX_APPEND_BYTES } from '../encoded-request.js';

/** The fields by which errors of either client are told apart: `name` is always "Error", the message often empty. */
interface ClientError {
  readonly type?: string;
  readonly code?: number;
  readonly message?: string;
  readonly maxAppendSize?: number;
}

/** The server knows no event at the position that was asked for. */
const WRONG_POSITION = /ReadAllResult: (InvalidPosition|Error)\b/;
/** What no repetition mends. `Unknown` is not among them: a server that starts or stops says it too. */
const LASTING = new Set([
  'invalid-argument',
  'invalid-transaction',
  'unsupported',
  'missing-required-metadata-property',
]);

/** Nothing but the fields that are safe to show: an error of a client may hold a bigint, which JSON refuses. */
const describe = ({ type, code, message }: ClientError): string =>
  [type, code === undefined ? undefined : `code ${code}`, message].filter((part) => part).join(', ') ||
  'no reason given';

/** True for an append that did not find the stream at the revision that it expected. */
export const isConflict = (error: unknown): boolean => (error as ClientError | null)?.type === 'wrong-expected-version';

export const isStreamNotFound = (error: unknown): boolean => (error as ClientError | null)?.type === 'stream-not-found';

/** The error as the port names it. Whatever is not known to last is `LogUnavailable`: it may be over with the next try. */
export const asPortError = (doing: string, error: unknown, stream = ''): Error => {
  if (error instanceof Unavailable || error instanceof Unsupported) return error;
  const { type, maxAppendSize, message = '' } = error as ClientError;
  const options = { cause: error };
  if (type === 'stream-deleted' || type === 'stream-tombstoned') return new StreamDeleted(stream);
  if (type === 'maximum-append-size-exceeded') return new TooLarge(stream, maxAppendSize ?? MAX_APPEND_BYTES);
  if (WRONG_POSITION.test(message)) return new ForeignPosition('no event stands at this position', options);
  const said = `${doing}: ${describe(error as ClientError)}`;
  if (type !== undefined && LASTING.has(type)) return new Error(said, options);
  return new LogUnavailable(said, options);
};

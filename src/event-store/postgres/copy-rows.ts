/**
 * Rows of a table as bytes: `copy … to stdout (format binary)`, where a statement's result would be text that has to be
 * decoded, and encoded again for whoever wants the bytes. The log is walked three times as fast this way.
 *
 * Format: a header of 19 bytes, then a row as int16 number of fields, and each field as int32 length (-1: null) and
 * bytes; at the end -1. https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import type pg from 'pg';

const HEADER_BYTES = 19;
const END = -1;

/** The fields of a row; they are gone when the call returns. */
type OnRow = (fields: readonly Buffer[]) => void;

/** As `pg` drives a query of somebody else's making. */
class Copy implements pg.Submittable {
  /** Called by `pg` too, when the answer does not come in time. */
  callback: (error: Error | null) => void = () => undefined;
  private isFirst = true;
  private error: Error | null = null;

  constructor(
    private readonly text: string,
    private readonly onRow: OnRow,
  ) {}

  submit(connection: pg.Connection): void {
    connection.query(this.text);
  }

  /** The bytes are the connection's: it writes over them afterwards. */
  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    let offset = this.isFirst ? HEADER_BYTES : 0;
    this.isFirst = false;
    while (offset < chunk.length && this.error === null) {
      const count = chunk.readInt16BE(offset);
      offset += 2;
      if (count === END) return;
      const fields: Buffer[] = [];
      for (let field = 0; field < count; field += 1) {
        const length = chunk.readInt32BE(offset);
        offset += 4;
        fields.push(chunk.subarray(offset, offset + Math.max(length, 0)));
        offset += Math.max(length, 0);
      }
      try {
        this.onRow(fields);
      } catch (error) {
        this.error = error instanceof Error ? error : new Error(String(error));
      }
    }
  }

  handleCommandComplete(): void {
    // The connection is free again once it is ready.
  }

  handleError(error: Error): void {
    this.callback(error);
  }

  handleReadyForQuery(): void {
    this.callback(this.error);
  }
}

/** @param select without parameters: `copy` takes none. Fields must not be null. */
export const copyRows = (client: pg.ClientBase, select: string, onRow: OnRow): Promise<void> =>
  new Promise((resolve, reject) => {
    const copy = new Copy(`copy (${select}) to stdout (format binary)`, onRow);
    copy.callback = (error) => {
      if (error === null) resolve();
      else reject(error);
    };
    client.query(copy);
  });

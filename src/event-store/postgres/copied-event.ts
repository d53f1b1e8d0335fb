/** Events of a page as the bytes of a copy: for whoever walks the log, and looks at a part of each event. */
import type { JsonObject, RecordedEvent } from '../event-store.js';
import { readUuid } from '../uuid-bytes.js';
import type { CopiedRow } from './copy-rows.js';

export const COPIED_COLUMNS = 'e.position, e.stream, e.revision, e.id, e.type, e.version, e.at, e.data, e.metadata';

/** The last one that was asked for: events of a batch have the same. */
let known = { ms: NaN, instant: '' };

const toInstant = (ms: number): string => {
  if (known.ms !== ms) known = { ms, instant: new Date(ms).toISOString() };
  return known.instant;
};

/** What is rarely looked at is made when it is: of most events a fold needs no metadata, of many no data. */
class CopiedEvent implements RecordedEvent {
  readonly position: string;
  readonly stream: string;
  readonly revision: number;
  readonly type: string;
  readonly version: number;
  readonly at: string;
  private readonly uuid: string;
  private readonly dataText: string;
  private readonly metadataText: string;
  private parsedData: JsonObject | undefined = undefined;
  private parsedMetadata: JsonObject | undefined = undefined;

  constructor(row: CopiedRow) {
    this.position = row.digits();
    this.stream = row.text();
    this.revision = row.int4();
    this.uuid = row.latin1();
    this.type = row.text();
    this.version = row.int4();
    this.at = toInstant(row.epochUs() / 1000);
    this.dataText = row.text();
    this.metadataText = row.text();
  }

  get id(): string {
    return readUuid(this.uuid);
  }

  get data(): JsonObject {
    return (this.parsedData ??= JSON.parse(this.dataText) as JsonObject);
  }

  get metadata(): JsonObject {
    return (this.parsedMetadata ??= JSON.parse(this.metadataText) as JsonObject);
  }

  /** Of the data, as text. */
  get characters(): number {
    return this.dataText.length;
  }
}

/** An event of a row of `COPIED_COLUMNS`. */
export const copiedEvent = (row: CopiedRow): CopiedEvent => new CopiedEvent(row);

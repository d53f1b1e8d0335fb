/** Events of a page as the bytes of a copy: for whoever walks the log, and looks at a part of each event. */
import { readUuid } from '../uuid-bytes.js';
import type { CopiedRow } from './copy-rows.js';
import { StoredEvent } from './stored-event.js';

export const COPIED_COLUMNS = 'e.position, e.stream, e.revision, e.id, e.type, e.version, e.at, e.data, e.metadata';

/** The last one that was asked for: events of a batch have the same. */
let known = { ms: NaN, instant: '' };

const toInstant = (ms: number): string => {
  if (known.ms !== ms) known = { ms, instant: new Date(ms).toISOString() };
  return known.instant;
};

/** Its id is rarely looked at, and made when it is. */
class CopiedEvent extends StoredEvent {
  private readonly uuid: string;

  constructor(row: CopiedRow) {
    const position = row.digits();
    const stream = row.text();
    const revision = row.int4();
    const uuid = row.latin1();
    const type = row.text();
    const version = row.int4();
    const at = toInstant(row.epochUs() / 1000);
    super(position, stream, revision, type, version, at, row.text(), row.text());
    this.uuid = uuid;
  }

  get id(): string {
    return readUuid(this.uuid);
  }
}

/** An event of a row of `COPIED_COLUMNS`. */
export const copiedEvent = (row: CopiedRow): CopiedEvent => new CopiedEvent(row);

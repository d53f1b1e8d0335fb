/** An event as it is stored: its JSON is text, and parsed when somebody looks at it. Of most events a fold needs no metadata. */
import type { JsonObject, RecordedEvent } from '../event-store.js';

export abstract class StoredEvent implements RecordedEvent {
  abstract readonly id: string;
  private parsedData: JsonObject | undefined = undefined;
  private parsedMetadata: JsonObject | undefined = undefined;

  constructor(
    readonly position: string,
    readonly stream: string,
    readonly revision: number,
    readonly type: string,
    readonly version: number,
    readonly at: string,
    readonly dataText: string,
    readonly metadataText: string,
  ) {}

  get data(): JsonObject {
    return (this.parsedData ??= JSON.parse(this.dataText) as JsonObject);
  }

  get metadata(): JsonObject {
    return (this.parsedMetadata ??= JSON.parse(this.metadataText) as JsonObject);
  }
}

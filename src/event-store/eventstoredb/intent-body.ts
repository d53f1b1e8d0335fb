/** An intent as it is recorded: everything that finishing it takes, readable by any process of this version. */
import { encodeRequest } from '../encoded-request.js';
import type { BesideTable } from '../beside-table.js';
import type { JsonObject } from '../event-store.js';
import type { ColumnValue, HeldRequest, HeldRow, HeldUnit, Intent } from './beside-rows.js';

interface WrittenRow {
  readonly table: string;
  readonly values: readonly (string | number | boolean | null | { readonly base64: string })[];
  readonly event: number;
  readonly watched?: string;
}

interface WrittenRequest {
  readonly stream: string;
  readonly expected: HeldRequest['request']['expected'];
  readonly loose: boolean;
  readonly events: readonly {
    readonly id: string;
    readonly type: string;
    readonly version: number;
    readonly data: JsonObject;
    readonly metadata: JsonObject;
  }[];
  readonly rows: readonly WrittenRow[];
}

const writeValue = (value: ColumnValue): WrittenRow['values'][number] => {
  if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString('base64') };
  return typeof value === 'bigint' ? String(value) : value;
};

const readValue = (value: WrittenRow['values'][number]): ColumnValue =>
  typeof value === 'object' && value !== null ? Buffer.from(value.base64, 'base64') : value;

export const writeIntent = ({ requests }: HeldUnit): string => {
  const written = requests.map(({ request: { stream, expected, events, loose }, rows }): WrittenRequest => ({
    ...{ stream, expected, loose },
    events: events.map(({ id, type, version, data, metadata }) => ({
      ...{ id, type, version },
      data: JSON.parse(data) as JsonObject,
      metadata: JSON.parse(metadata) as JsonObject,
    })),
    rows: rows.map(({ table, values, event, watched }) => ({
      ...{ table: table.name, values: values.map(writeValue), event },
      ...(watched === undefined ? {} : { watched }),
    })),
  }));
  return JSON.stringify(written);
};

/** @throws Error when it was not written by `writeIntent`, or names a table that is unknown here */
export const readIntent = (intent: Intent, body: string, tableOf: (name: string) => BesideTable): HeldUnit => {
  const requests = (JSON.parse(body) as readonly WrittenRequest[]).map((written, ordinal): HeldRequest => {
    const { stream, expected, events, loose, rows } = written;
    const request = encodeRequest({ stream, expected, events, loose }, ordinal, Infinity);
    if (request instanceof Error) throw new Error(`intent ${intent.id} cannot be read`, { cause: request });
    const held = rows.map(({ table, values, event, watched }): HeldRow => ({
      table: tableOf(table),
      values: values.map(readValue),
      ...{ event, watched },
    }));
    return { request, rows: held };
  });
  return { intent, requests };
};

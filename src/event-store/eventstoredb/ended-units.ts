/** Units whose fate is known, and what becomes of their rows. */
import type { EncodedRequest } from '../encoded-request.js';
import type { Appended } from '../event-store.js';
import type { HeldRow, Intent } from './beside-rows.js';

export interface Ended {
  readonly request: EncodedRequest;
  readonly rows: readonly HeldRow[];
  /** Undefined: it is not in the log and never will be, or it was there before. */
  readonly appended: Appended | undefined;
}

export interface EndedUnit {
  readonly intent: Intent | undefined;
  readonly requests: readonly Ended[];
}

/** The units without the requests whose events stand at the positions. @returns with those requests */
export const withoutEvents = (
  units: readonly EndedUnit[],
  positions: ReadonlySet<string>,
): { readonly units: readonly EndedUnit[]; readonly refused: readonly EncodedRequest[] } => {
  const refused: EncodedRequest[] = [];
  const left = units.map((unit) => ({
    ...unit,
    requests: unit.requests.map((ended) => {
      if (ended.appended?.positions.some((position) => positions.has(position)) !== true) return ended;
      refused.push(ended.request);
      return { ...ended, appended: undefined };
    }),
  }));
  return { units: left, refused };
};

/** A row whose events are in the log, with the place of its event. */
export interface PlacedRow {
  readonly row: HeldRow;
  /** Of its request. */
  readonly stream: string;
  readonly position: bigint;
  readonly revision: number;
  /** Epoch ms. */
  readonly at: number;
  /** Events of its request. */
  readonly length: number;
  /**
   * Of one that belongs to its whole unit, what was appended of that: `[[stream, first revision, number of events], …]`.
   * Any other has none: told to each row of a unit of 1,000 it took 50 MB.
   */
  readonly parts: string | null;
}

const partsOf = ({ requests }: EndedUnit): string =>
  JSON.stringify(
    requests.flatMap(({ request, appended }) => {
      if (appended === undefined) return [];
      const { length } = appended.positions;
      return [[request.stream, appended.revision - length + 1, length]];
    }),
  );

export const appendedRows = (unit: EndedUnit): readonly PlacedRow[] => {
  const parts = partsOf(unit);
  const last = unit.requests.findLast(({ appended }) => appended !== undefined)?.appended;
  return unit.requests.flatMap(({ request: { stream }, rows, appended }) =>
    rows.flatMap((row): PlacedRow[] => {
      const ofGroup = row.table.around?.ofGroup === true;
      const place = appended ?? (ofGroup ? last : undefined);
      if (place === undefined) return [];
      const { positions, revision, at } = place;
      const { length } = positions;
      // A row of the whole group whose own request was refused goes with the last one that was not.
      const event = place === appended ? row.event : length - 1;
      const position = BigInt(positions[event]!);
      return [
        {
          ...{ row, stream, position, revision: revision - length + 1 + event, at: Date.parse(at), length },
          parts: ofGroup ? parts : null,
        },
      ];
    }),
  );
};

/** Rows of events that are not in the log and never will be. */
export const givenRows = (unit: EndedUnit): readonly { readonly row: HeldRow }[] => {
  const isAny = unit.requests.some(({ appended }) => appended !== undefined);
  return unit.requests.flatMap(({ rows, appended }) =>
    rows.flatMap((row) => {
      const isWritten = appended !== undefined || (isAny && row.table.around?.ofGroup === true);
      return isWritten ? [] : [{ row }];
    }),
  );
};

/** Bodies and parameters of upkeep: rebuilds, verifications, and what is known of projections. */
import { z } from 'zod';
import { body, durationMs, expected, flag } from './fields.js';
import { flagParameter, numberParameter, parsePosition } from './query-fields.js';

const MAX_WAIT_MS = 60_000;

/** How long the answer waits for the end; then it is 202, and the run goes on. */
const waitMs = durationMs(0, MAX_WAIT_MS).default(30_000);

const POSITION = 'a position: decimal digits';
const HASH = 'a hash: 64 hexadecimal digits';

export const projectionName = z.string().regex(/^[a-z_-]{1,60}$/);
export const upkeepId = z.uuid();

/** `POST /v1/admin/projections/{name}/rebuild`. */
export const rebuildProjection = body({ waitMs }).meta({ id: 'RebuildRequest' });
export type RebuildBody = z.output<typeof rebuildProjection>;

/** `POST /v1/admin/projections/{name}/verify`. */
export const verifyProjection = body({
  /** Also puts right what is found. */
  repair: flag.default(false),
  waitMs,
}).meta({ id: 'VerifyProjectionRequest' });
export type VerifyProjectionBody = z.output<typeof verifyProjection>;

/** As `GET /v1/log/head` answered it. */
const keptHead = z
  .strictObject({
    position: z
      .string({ error: expected(POSITION) })
      .refine((written) => parsePosition(written) !== undefined, { error: expected(POSITION) }),
    hash: z.string({ error: expected(HASH) }).regex(/^[0-9a-f]{64}$/i, { error: expected(HASH) }),
    at: z.string().nullish(),
  })
  .meta({ id: 'KeptHead' });

/** `POST /v1/admin/log/verify`. */
export const verifyLog = body({ head: keptHead.optional(), waitMs }).meta({ id: 'VerifyLogRequest' });
export type VerifyLogBody = z.output<typeof verifyLog>;

const query = <Shape extends z.core.$ZodShape>(shape: Shape) => z.strictObject(shape);

/** `GET /v1/admin/upkeep/{id}`. */
export const getUpkeep = query({ waitMs: numberParameter(0, MAX_WAIT_MS).default(0) });
export type GetUpkeepQuery = z.output<typeof getUpkeep>;

/** `GET /v1/admin/upkeep`. */
export const listUpkeep = query({ limit: numberParameter(1, 200).default(50) });
export type ListUpkeepQuery = z.output<typeof listUpkeep>;

/** `GET /v1/admin/projections/{name}`. */
export const getProjection = query({ digest: flagParameter.default(false) });
export type GetProjectionQuery = z.output<typeof getProjection>;

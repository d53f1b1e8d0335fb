/** The calls of upkeep in words. */
import type { CallDescription } from './calls.js';

const upkeep = (
  id: string,
  answer: CallDescription['answer'],
  summary: string,
  description: string,
): CallDescription => ({ id, tag: 'Operations', answer, summary, description });

const WAIT =
  'Answered when it is done, or after `waitMs` as 202: it goes on, and `GET /v1/admin/upkeep/{id}` says how far it is.';

const question = (...of: Parameters<typeof upkeep>): CallDescription => ({ ...upkeep(...of), fresh: 'log' });

export const UPKEEP_CALLS: Readonly<Record<string, CallDescription>> = {
  'GET /v1/log/head': question(
    'logHead',
    'LogHead',
    'The end of the log',
    'Keep it elsewhere: given to the verification of the log, it tells whether the log up to there is still the same.',
  ),
  'POST /v1/admin/log/verify': {
    ...upkeep(
      'verifyLog',
      'Upkeep',
      'Verify the log',
      `Computes the chain of hashes anew and names the first position that is not what was written. ${WAIT}`,
    ),
    accepted: true,
    example: { waitMs: 60_000 },
  },
  'GET /v1/admin/projections': question(
    'listProjections',
    'ProjectionList',
    'List projections',
    'How far each read model is, and what it could not read.',
  ),
  'GET /v1/admin/projections/{name}': question(
    'getProjection',
    'Projection',
    'Read a projection',
    'With the streams that it skips. The digest reads the whole projection in one snapshot: for quiet hours.',
  ),
  'POST /v1/admin/projections/{name}/rebuild': {
    ...upkeep(
      'rebuildProjection',
      'Upkeep',
      'Rebuild a projection',
      `Makes it anew from the log beside the live one, and swaps it in. A second call joins the first. ${WAIT}`,
    ),
    accepted: true,
    example: { waitMs: 60_000 },
  },
  'POST /v1/admin/projections/{name}/verify': {
    ...upkeep(
      'verifyProjection',
      'Upkeep',
      'Verify a projection',
      `Names the rows that are not what the log says; with \`repair\` puts them right. ${WAIT}`,
    ),
    accepted: true,
    example: { repair: true },
  },
  'GET /v1/admin/upkeep': question(
    'listUpkeep',
    'UpkeepList',
    'Rebuilds and verifications',
    'The newest first, with what came of them: what was repaired stays here.',
  ),
  'GET /v1/admin/upkeep/{id}': question(
    'getUpkeep',
    'Upkeep',
    'A rebuild or verification',
    'How far it is, or what came of it; with `waitMs` once it has ended.',
  ),
};

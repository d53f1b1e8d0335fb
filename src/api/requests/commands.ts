/** Body of `POST /v1/commands`. Each entry is judged by itself, so that one that is wrong stops no other. */
import { z } from 'zod';
import { JOB_CALL_NAMES } from '../job-calls.js';
import { body, expected, name } from './fields.js';
import { jobIdWhere } from './paths.js';

export const MAX_COMMANDS = 1_000;

/** What every entry has beside the body of its command. */
export const entryHead = z.looseObject(
  {
    command: z.enum(JOB_CALL_NAMES, { error: expected(`one of ${JOB_CALL_NAMES.join(', ')}`) }),
    jobId: jobIdWhere({ error: expected('the id of a job, a UUID') }),
    commandId: name.optional(),
  },
  { error: expected('an object') },
);
export type EntryHead = z.output<typeof entryHead>;

const described = z.toJSONSchema(entryHead, { io: 'input', unrepresentable: 'any' });

export const sendCommands = body({
  commands: z
    .array(z.unknown().meta({ ...described, $schema: undefined }), {
      error: expected(`a list of 1–${MAX_COMMANDS} commands`),
    })
    .min(1, { error: 'must have at least 1 command' })
    .max(MAX_COMMANDS, { error: `must have at most ${MAX_COMMANDS} commands` }),
}).meta({ id: 'SendCommandsRequest' });
export type SendCommandsBody = z.output<typeof sendCommands>;

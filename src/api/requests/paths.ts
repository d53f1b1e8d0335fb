/** Path parameters. One that no resource can have is 404: there is nothing at that path. */
import { z } from 'zod';
import { expected, name } from './fields.js';

const JOB_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The id of a job, in lower case. @param params what is said of another one; a path says nothing. */
export const jobIdWhere = (params: { readonly error?: ReturnType<typeof expected> } = {}) =>
  z
    .string(params)
    .regex(JOB_ID, params)
    .transform((id) => id.toLowerCase())
    .meta({ format: 'uuid' });

export const jobId = jobIdWhere({ error: expected('the id of a job, as 019a2b3c-4d5e-7f60-8123-456789abcdef') });

export const queueName = name;

/** Path parameters. One that no resource can have is 404: there is nothing at that path. */
import { z } from 'zod';
import { name } from './fields.js';

export const JOB_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The id of a job, in lower case. */
export const jobId = z
  .string()
  .regex(JOB_ID)
  .transform((id) => id.toLowerCase())
  .meta({ format: 'uuid' });

export const queueName = name;

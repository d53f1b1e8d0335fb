import type { Job } from './job.js';

/** What a heartbeat tells the worker to do. */
export type Directive = 'continue' | 'cancel' | 'pause';

/** Stop when cancel was asked, pause at the next chance when a hold is pending, else go on. */
export const directiveOf = (job: Job): Directive => (job.cancel !== null ? 'cancel' : job.held ? 'pause' : 'continue');

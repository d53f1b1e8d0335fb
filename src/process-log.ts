/** What the process says of itself: JSON lines on stderr, so that stdout holds what whoever starts it waits for: the line with the address. */
import type { LoggerService } from '@nestjs/common';
import { type Logger, pino } from 'pino';
import type { KeyLog } from './api/keys/api-keys.js';
import type { UpkeepLog } from './projections/upkeep/upkeep.js';
import type { ReaperLog } from './reaper/reaper.js';
import type { ClockLog } from './leases/clock-lag.js';
import type { SharedSetting } from './leases/installation.js';
import { DATABASE, type OutageLog } from './outage.js';
import type { ServiceOptions } from './service.js';

export type { Logger } from 'pino';

export const createLogger = (level: string): Logger =>
  pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 2, sync: true }));

const textOf = (message: unknown): string => (message instanceof Error ? message.message : String(message));

/**
 * Nest's own. What it says of its start is of interest to nobody who does not debug it; a start that fails is told in
 * one line by whoever started it.
 */
export const nestLogger = (log: Logger, hasStarted: () => boolean): LoggerService => ({
  log: (message: unknown) => log.debug(textOf(message)),
  debug: (message: unknown) => log.debug(textOf(message)),
  verbose: (message: unknown) => log.trace(textOf(message)),
  warn: (message: unknown) => log.warn(textOf(message)),
  error: (message: unknown, stack?: unknown) => log[hasStarted() ? 'error' : 'debug']({ stack }, textOf(message)),
  fatal: (message: unknown) => log.fatal(textOf(message)),
});

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

export const reaperLog = (
  log: Logger,
): ReaperLog & { readonly jobFailed: (jobId: string, error: unknown) => void } => ({
  swept: ({ reaped, jobs, jobs: _jobs, ...report }) => {
    if (reaped > 0) log.info({ ...report, reaped }, `Reaped ${reaped} stale job(s).`);
    for (const { jobId, verdict } of jobs) {
      if (verdict === 'live') log.debug({ jobId }, 'Reaper skipped live job.');
    }
  },
  failed: (error, consecutive) => log.error({ err: asError(error), consecutive }, 'A sweep failed.'),
  housekeepingFailed: (error) => log.error({ err: asError(error) }, 'Housekeeping failed, and is tried again.'),
  jobFailed: (jobId, error) => log.error({ err: asError(error), jobId }, 'A job could not be reaped.'),
});

const upkeepLog = (log: Logger): UpkeepLog => ({
  head: ({ position, hash, at }) => log.info({ position, hash, at }, 'The head of the log.'),
  ended: ({ kind, subject, state, result, error }) =>
    log[state === 'done' && result?.['ok'] !== false ? 'info' : 'error'](
      { kind, subject, error, ...result, differences: undefined },
      `The ${kind} of ${subject} is ${state}.`,
    ),
  failed: ({ kind, subject }, error) => log.warn({ err: asError(error), kind, subject }, 'A run of upkeep broke off.'),
});

/**
 * Both at one level: who reads of the one reads of the other.
 * @param tellServerLog what the database says of itself, where this process owns its server
 */
export const outageLog = (log: Logger, tellServerLog?: () => string): OutageLog => ({
  began: (what, error) =>
    log.warn(
      { reason: textOf(error), ...(tellServerLog && what === DATABASE && { server: tellServerLog() }) },
      `There is no answer from ${what}: trying until there is.`,
    ),
  ended: (what, outageMs) => log.warn({ outageMs }, `There are answers from ${what} again.`),
});

/** Both at one level, as those of an outage. */
export const clockLog = (log: Logger): ClockLog => ({
  fellBehind: (lagMs) =>
    log.warn(
      { lagMs },
      'The clock of the database was set back: deadlines stand still until it has caught up with the log.',
    ),
  caughtUp: () => log.warn('The clock of the database has caught up with the log.'),
});

const OTHER_SETTING: Readonly<Record<SharedSetting, string>> = {
  secret:
    'JOBLEDGER_SECRET is another than that of the process that started before: lease tokens given under that one are refused ' +
    'here until those leases lapse. Every process needs the same.',
  policy:
    'The policy (JOBLEDGER_PRESET, JOBLEDGER_POLICY_…) is another than that of the process that started before: jobs are judged ' +
    'by the one of the process that judges. Every process needs the same.',
};

/** Of a change once; where it is said again and again, two processes have two. */
export const otherSetting =
  (log: Logger) =>
  (setting: SharedSetting): void =>
    log.warn(OTHER_SETTING[setting]);

export const projectionLog = (log: Logger): NonNullable<ServiceOptions['projectionLog']> => ({
  upkeep: upkeepLog(log),
  failed: (projection, error, consecutive) =>
    log.error({ err: asError(error), projection, consecutive }, 'A projection failed.'),
  parked: (projection, { stream, position, error }) =>
    log.error({ projection, stream, position, error }, 'A projection skips a stream that it cannot read.'),
  tailFailed: (error) => log.warn({ err: asError(error) }, 'The end of the log cannot be read.'),
  replaced: ({ stream, revision, position }) =>
    log.error(
      { stream, revision, position },
      'The log lacks an event that was in it: it was restored, or another copy is in its place. What this process knew is forgotten, open streams end.',
    ),
});

/** Which keys there are, never what they are. */
export const keyLog = (log: Logger): KeyLog => ({
  changed: (keys) => log.info({ keys }, `The API keys have changed: ${keys.length} in force.`),
  failed: (error) =>
    log.error(
      { reason: error.message },
      'The file of API keys cannot be used: those of the last good one are in force.',
    ),
});

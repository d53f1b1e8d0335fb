/** What the parts of a process tell of their work, counted on its way to the log. */
import { NO_LOG } from './log-readers.js';
import type { ServiceOptions } from './service.js';
import type { Telemetry } from './telemetry.js';

const MS_PER_SECOND = 1_000;

export const metered = (options: ServiceOptions, telemetry: Telemetry): ServiceOptions => {
  const { reaper, projectionLog = NO_LOG } = options;
  return {
    ...options,
    onBatch: (commands, appendMs) => {
      telemetry.batchCommands.observe(commands);
      telemetry.appendSeconds.observe(appendMs / MS_PER_SECOND);
    },
    reaper: {
      ...reaper,
      log: {
        ...reaper.log,
        swept: (report) => {
          telemetry.sweepSeconds.observe(report.durationMs / MS_PER_SECOND);
          reaper.log.swept(report);
        },
      },
    },
    projectionLog: {
      ...projectionLog,
      upkeep: {
        ...projectionLog.upkeep,
        ended: (run) => {
          telemetry.upkeepRuns.inc({ kind: run.kind, state: run.state });
          projectionLog.upkeep.ended(run);
        },
      },
    },
  };
};

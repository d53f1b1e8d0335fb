/** What this process counts of itself; what the log counts is asked of the database when somebody looks. */
import { collectDefaultMetrics, Counter, Histogram, Registry } from 'prom-client';

/** From a quick append on an idle machine to the time-out of a command. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export class Telemetry {
  readonly registry = new Registry();

  readonly commands = new Counter({
    name: 'jobledger_commands_total',
    help: 'Commands answered by this process, by what came of them',
    labelNames: ['command', 'outcome'] as const,
    registers: [this.registry],
  });

  /** Also those refusals that are history already and are not recorded again. */
  readonly refused = new Counter({
    name: 'jobledger_refused_total',
    help: 'Commands refused by this process',
    labelNames: ['code'] as const,
    registers: [this.registry],
  });

  readonly batchCommands = new Histogram({
    name: 'jobledger_batch_commands',
    help: 'Commands that one append of this process wrote, refused ones left out',
    buckets: [1, 2, 5, 10, 20, 50, 100],
    registers: [this.registry],
  });

  readonly appendSeconds = new Histogram({
    name: 'jobledger_append_seconds',
    help: 'Time that one append of this process took, however many commands it wrote',
    buckets: SECONDS,
    registers: [this.registry],
  });

  readonly sweepSeconds = new Histogram({
    name: 'jobledger_sweep_seconds',
    help: 'Time that one sweep by this process took, sweeps by hand included, dry runs left out',
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60],
    registers: [this.registry],
  });

  /** Long polls and streams last as long as their callers like: look at them by route. */
  readonly requestSeconds = new Histogram({
    name: 'jobledger_http_request_seconds',
    help: 'Time from a request to the end of its answer by this process, by route pattern and class of status',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: SECONDS,
    registers: [this.registry],
  });

  readonly upkeepRuns = new Counter({
    name: 'jobledger_upkeep_runs_total',
    help: 'Rebuilds and verifications that ended in this process, by what came of them',
    labelNames: ['kind', 'state'] as const,
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }
}

/** What this process counts of itself; what the log counts is asked of the database when somebody looks. */
import { collectDefaultMetrics, Counter, Registry } from 'prom-client';

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

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }
}

/** What this process holds now, as metrics: counted when somebody looks. */
import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { Gauge } from 'prom-client';
import { Pipeline } from '../commands/pipeline.js';
import { Telemetry } from '../telemetry.js';
import { POOLS } from './ports.js';
import { SseStreams } from './sse-streams.js';

@Injectable()
export class ProcessMetrics {
  constructor(
    telemetry: Telemetry,
    pipeline: Pipeline,
    streams: SseStreams,
    @Inject(POOLS) pools: Readonly<Record<string, pg.Pool>>,
  ) {
    const registers = [telemetry.registry];
    new Gauge({
      name: 'jobledger_pending_commands',
      help: 'Commands of this process that wait or are being appended',
      registers,
      collect() {
        this.set(pipeline.load);
      },
    });
    new Gauge({
      name: 'jobledger_sse_readers',
      help: 'Open streams of server-sent events of this process',
      registers,
      collect() {
        this.set(streams.size);
      },
    });
    new Gauge({
      name: 'jobledger_database_connections',
      help: 'Connections of this process to the database, by pool and whether they work',
      labelNames: ['pool', 'state'],
      registers,
      collect() {
        for (const [pool, { totalCount, idleCount }] of Object.entries(pools)) {
          this.set({ pool, state: 'busy' }, totalCount - idleCount);
          this.set({ pool, state: 'idle' }, idleCount);
        }
      },
    });
    new Gauge({
      name: 'jobledger_database_waiting',
      help: 'Callers of this process that wait for a connection to the database, by pool',
      labelNames: ['pool'],
      registers,
      collect() {
        for (const [pool, { waitingCount }] of Object.entries(pools)) this.set({ pool }, waitingCount);
      },
    });
  }
}

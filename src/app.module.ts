/** What Nest puts together: HTTP and the command bus, over the parts that `service.ts` opens. */
import {
  type DynamicModule,
  type FactoryProvider,
  Inject,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_PIPE } from '@nestjs/core';
import { CommandBus, CqrsModule } from '@nestjs/cqrs';
import { BulkCommands } from './api/bulk-commands.js';
import { ClaimsController } from './api/controllers/claims.controller.js';
import { CommandsController } from './api/controllers/commands.controller.js';
import { CreateController } from './api/controllers/create.controller.js';
import { CountersController } from './api/controllers/counters.controller.js';
import { EventsController } from './api/controllers/events.controller.js';
import { HealthController } from './api/controllers/health.controller.js';
import { JobCommandsController } from './api/controllers/job-commands.controller.js';
import { JobHistoryController } from './api/controllers/job-history.controller.js';
import { JobsController } from './api/controllers/jobs.controller.js';
import { MetricsController } from './api/controllers/metrics.controller.js';
import { OperatorCommandsController } from './api/controllers/operator-commands.controller.js';
import { OperationsController } from './api/controllers/operations.controller.js';
import { StreamsController } from './api/controllers/streams.controller.js';
import { UpkeepController } from './api/controllers/upkeep.controller.js';
import { WorkerCallsController } from './api/controllers/worker-calls.controller.js';
import type * as wire from './api/contract.js';
import { EndOfRun } from './api/end-of-run.js';
import { Freshness } from './api/freshness.js';
import { JobList } from './api/job-list.js';
import { JobCalls } from './api/job-calls.js';
import { JobReader } from './api/job-reader.js';
import type { ApiKeys } from './api/keys/api-keys.js';
import { KeyGuard } from './api/keys/key.guard.js';
import { LedgerMetrics } from './api/ledger-metrics.js';
import { API_KEYS, CLOCK, EVENT_STORE, IS_LOG_ELSEWHERE, JOB_ROWS, LEASES, POOLS, SETTINGS } from './api/ports.js';
import { ProcessMetrics } from './api/process-metrics.js';
import { ProblemFilter } from './api/problem.filter.js';
import { QueryGuard } from './api/query.guard.js';
import { Readiness } from './api/readiness.js';
import { RequestPipe } from './api/request.pipe.js';
import { Shutdown } from './api/shutdown.js';
import { SseStreams } from './api/sse-streams.js';
import { CounterStream } from './api/streams/counter-stream.js';
import { JobStreams } from './api/streams/job-streams.js';
import { LogStreams } from './api/streams/log-streams.js';
import { CommandMeter } from './commands/command-meter.js';
import { Contexts } from './commands/contexts.js';
import { COMMAND_HANDLERS } from './commands/handlers.js';
import { JobLogs } from './commands/job-logs.js';
import { LeaseTokens } from './commands/lease-token.js';
import { Ledger } from './commands/ledger.js';
import { Pipeline } from './commands/pipeline.js';
import type { Duty } from './config.js';
import { CounterQueries } from './projections/counters/counter-queries.js';
import { QueueQueries } from './projections/counters/queue-queries.js';
import { JobQueries } from './projections/jobs/job-queries.js';
import { Claimers } from './leases/claimers.js';
import { ClockLag } from './leases/clock-lag.js';
import { DatabaseMode } from './leases/database-mode.js';
import { SharedSettings } from './leases/installation.js';
import { LogTail } from './projections/log-tail.js';
import { Formats } from './projections/formats.js';
import { ProjectionWatch } from './projections/projection-watch.js';
import { ProjectionCatalogue } from './projections/upkeep/catalogue.js';
import { Upkeep } from './projections/upkeep/upkeep.js';
import { REAP, ReapJobHandler } from './reaper/reap.handler.js';
import { Reaper } from './reaper/reaper.js';
import { ReaperWatch } from './reaper/reaper-watch.js';
import { metered } from './metered.js';
import { Telemetry } from './telemetry.js';
import { openService, type Service, type ServiceOptions } from './service.js';

/** The parts of the process, opened before anything is served. */
export const SERVICE = Symbol('Service');

const API_CONTROLLERS = [
  CreateController,
  JobsController,
  JobCommandsController,
  OperatorCommandsController,
  WorkerCallsController,
  CommandsController,
  ClaimsController,
  JobHistoryController,
  EventsController,
  CountersController,
  OperationsController,
  StreamsController,
  UpkeepController,
];

/** Of every process, whatever it runs. */
const PROCESS_CONTROLLERS = [HealthController, MetricsController];

/** Each part under the name that it is asked for by. */
const PARTS: readonly (readonly [FactoryProvider['provide'], (service: Service) => unknown])[] = [
  [EVENT_STORE, ({ reads }) => reads.store],
  [IS_LOG_ELSEWHERE, ({ reads }) => reads.place === 'elsewhere'],
  [CLOCK, ({ clock }) => clock],
  [JOB_ROWS, ({ reads }) => reads.rows],
  [LEASES, ({ reads }) => reads.leases],
  [Contexts, ({ contexts }) => contexts],
  [LeaseTokens, ({ tokens }) => tokens],
  [JobLogs, ({ reads }) => reads.logs],
  [Ledger, ({ ledger }) => ledger],
  [Pipeline, ({ pipeline }) => pipeline],
  [POOLS, ({ pools }) => pools],
  [Reaper, ({ reaper }) => reaper],
  [ReaperWatch, ({ watch }) => watch],
  [JobQueries, ({ reads }) => reads.jobs],
  [CounterQueries, ({ reads }) => reads.counters],
  [QueueQueries, ({ reads }) => reads.queues],
  [Claimers, ({ reads }) => reads.claimers],
  [Formats, ({ reads }) => reads.formats],
  [DatabaseMode, ({ reads }) => reads.mode],
  [ClockLag, ({ clockLag }) => clockLag],
  [SharedSettings, ({ shared }) => shared],
  [ProjectionWatch, ({ projectionWatch }) => projectionWatch],
  [Upkeep, ({ upkeep }) => upkeep],
  [ProjectionCatalogue, ({ catalogue }) => catalogue],
  [LogTail, ({ reads }) => reads.tail],
  [REAP, ({ reap }) => reap],
];

const RUN = Symbol('Run');

export interface AppOptions {
  readonly service: ServiceOptions;
  /** What the process runs. */
  readonly run: readonly Duty[];
  readonly shutdown: Shutdown;
  /** As `GET /v1/config` shows them. */
  readonly settings: wire.ConfigView;
  /** Null: nobody needs a key. */
  readonly keys: ApiKeys | null;
  readonly telemetry: Telemetry;
}

@Module({})
export class AppModule implements OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown {
  constructor(
    @Inject(SERVICE) private readonly service: Service,
    @Inject(RUN) private readonly run: readonly Duty[],
    @Inject(API_KEYS) private readonly keys: ApiKeys | null,
    private readonly shutdown: Shutdown,
    streams: SseStreams,
  ) {
    // What would hold the server open ends.
    shutdown.signal.addEventListener('abort', () => {
      service.claims.drain();
      streams.closeAll();
    });
  }

  static for({ service, run, shutdown, settings, keys, telemetry }: AppOptions): DynamicModule {
    const counted = metered(service, telemetry);
    return {
      module: AppModule,
      imports: [CqrsModule.forRoot()],
      controllers: [...PROCESS_CONTROLLERS, ...(run.includes('api') ? API_CONTROLLERS : [])],
      providers: [
        {
          provide: SERVICE,
          inject: [CommandBus],
          useFactory: (commands: CommandBus) =>
            openService({
              ...counted,
              reaper: { ...counted.reaper, execute: (command) => commands.execute(command) },
            }),
        },
        { provide: Telemetry, useValue: telemetry },
        { provide: RUN, useValue: run },
        { provide: Shutdown, useValue: shutdown },
        { provide: SETTINGS, useValue: settings },
        { provide: API_KEYS, useValue: keys },
        ...PARTS.map(([provide, part]) => ({ provide, inject: [SERVICE], useFactory: part })),
        ...[...COMMAND_HANDLERS, ReapJobHandler, CommandMeter],
        ...[EndOfRun, Freshness, JobList, JobReader, LedgerMetrics, ProcessMetrics, Readiness],
        ...[CounterStream, JobStreams, LogStreams],
        JobCalls,
        BulkCommands,
        { provide: SseStreams, useFactory: () => new SseStreams() },
        // In this order: who calls is judged before what they ask.
        { provide: APP_GUARD, useClass: KeyGuard },
        { provide: APP_GUARD, useClass: QueryGuard },
        { provide: APP_PIPE, useClass: RequestPipe },
        { provide: APP_FILTER, useClass: ProblemFilter },
      ],
    };
  }

  onApplicationBootstrap(): void {
    this.keys?.start();
    if (this.run.includes('projections')) {
      this.service.projections.start();
      this.service.upkeep.start();
    }
    if (this.run.includes('reaper')) this.service.reaper.start();
  }

  /** Before the server closes. */
  onModuleDestroy(): void {
    this.keys?.stop();
    this.shutdown.begin();
  }

  /** After the server has answered what was in flight. */
  async onApplicationShutdown(): Promise<void> {
    await this.service.close();
  }
}

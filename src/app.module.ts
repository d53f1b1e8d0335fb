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
import { ClaimsController } from './api/controllers/claims.controller.js';
import { CreateController } from './api/controllers/create.controller.js';
import { JobCommandsController } from './api/controllers/job-commands.controller.js';
import { JobHistoryController } from './api/controllers/job-history.controller.js';
import { JobsController } from './api/controllers/jobs.controller.js';
import { WorkerCallsController } from './api/controllers/worker-calls.controller.js';
import { Freshness } from './api/freshness.js';
import { JobReader } from './api/job-reader.js';
import { CLOCK, EVENT_STORE, JOB_ROWS, LEASES } from './api/ports.js';
import { ProblemFilter } from './api/problem.filter.js';
import { QueryGuard } from './api/query.guard.js';
import { RequestPipe } from './api/request.pipe.js';
import { Shutdown } from './api/shutdown.js';
import { SseStreams } from './api/sse-streams.js';
import { Contexts } from './commands/contexts.js';
import { COMMAND_HANDLERS } from './commands/handlers.js';
import { JobLogs } from './commands/job-logs.js';
import { LeaseTokens } from './commands/lease-token.js';
import { Ledger } from './commands/ledger.js';
import type { Duty } from './config.js';
import { REAP, ReapJobHandler } from './reaper/reap.handler.js';
import { Reaper } from './reaper/reaper.js';
import { ReaperWatch } from './reaper/reaper-watch.js';
import { openService, type Service, type ServiceOptions } from './service.js';

/** The parts of the process, opened before anything is served. */
export const SERVICE = Symbol('Service');

const API_CONTROLLERS = [
  CreateController,
  JobsController,
  JobCommandsController,
  WorkerCallsController,
  ClaimsController,
  JobHistoryController,
];

/** Each part under the name that it is asked for by. */
const PARTS: readonly (readonly [FactoryProvider['provide'], (service: Service) => unknown])[] = [
  [EVENT_STORE, ({ store }) => store],
  [CLOCK, ({ clock }) => clock],
  [JOB_ROWS, ({ rows }) => rows],
  [LEASES, ({ leases }) => leases],
  [Contexts, ({ contexts }) => contexts],
  [LeaseTokens, ({ tokens }) => tokens],
  [JobLogs, ({ logs }) => logs],
  [Ledger, ({ ledger }) => ledger],
  [Reaper, ({ reaper }) => reaper],
  [ReaperWatch, ({ watch }) => watch],
  [REAP, ({ reap }) => reap],
];

const RUN = Symbol('Run');

export interface AppOptions {
  readonly service: ServiceOptions;
  /** What the process runs. */
  readonly run: readonly Duty[];
  readonly shutdown: Shutdown;
}

@Module({})
export class AppModule implements OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown {
  constructor(
    @Inject(SERVICE) private readonly service: Service,
    @Inject(RUN) private readonly run: readonly Duty[],
    private readonly shutdown: Shutdown,
  ) {}

  static for({ service, run, shutdown }: AppOptions): DynamicModule {
    return {
      module: AppModule,
      imports: [CqrsModule.forRoot()],
      controllers: run.includes('api') ? API_CONTROLLERS : [],
      providers: [
        {
          provide: SERVICE,
          inject: [CommandBus],
          useFactory: (commands: CommandBus) =>
            openService({
              ...service,
              reaper: { ...service.reaper, execute: (command) => commands.execute(command) },
            }),
        },
        { provide: RUN, useValue: run },
        { provide: Shutdown, useValue: shutdown },
        ...PARTS.map(([provide, part]) => ({ provide, inject: [SERVICE], useFactory: part })),
        ...[...COMMAND_HANDLERS, ReapJobHandler, Freshness, JobReader],
        { provide: SseStreams, useFactory: () => new SseStreams() },
        { provide: APP_GUARD, useClass: QueryGuard },
        { provide: APP_PIPE, useClass: RequestPipe },
        { provide: APP_FILTER, useClass: ProblemFilter },
      ],
    };
  }

  onApplicationBootstrap(): void {
    if (this.run.includes('reaper')) this.service.reaper.start();
  }

  /** Before the server closes: what would hold it open ends. */
  onModuleDestroy(): void {
    this.shutdown.begin();
    this.service.claims.drain();
  }

  /** After the server has answered what was in flight. */
  async onApplicationShutdown(): Promise<void> {
    await this.service.close();
  }
}

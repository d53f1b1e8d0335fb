/** The HTTP application over an opened database, as `main.ts` and the tests of the API start it. */
import type { LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createHttpAdapter } from './api/http-server.js';
import { NOT_BUILT } from './api/not-built.js';
import { serveDocumentation } from './api/documentation.js';
import { Telemetry } from './telemetry.js';
import { AppModule, type AppOptions } from './app.module.js';

export interface ApplicationOptions extends Omit<AppOptions, 'telemetry'> {
  /** Of the program, for its OpenAPI document. */
  readonly version: string;
  readonly logger: LoggerService;
}

/** What a process is that has no API, for those who expect one. */
export const runsNoApi = (run: AppOptions['run']): string => `runs ${run.join(', ')} (JOBLEDGER_RUN) and not the API`;

/**
 * Opens everything and prepares to serve; nothing is served before it listens.
 * @throws whatever keeps the process from starting: the database, its schema.
 */
export const createApplication = async (options: ApplicationOptions): Promise<NestFastifyApplication> => {
  const { version, logger, shutdown, run } = options;
  const servesApi = run.includes('api');
  const telemetry = new Telemetry();
  const adapter = createHttpAdapter({
    telemetry,
    isDraining: () => shutdown.begun,
    // Another process of the installation has the paths, so nothing is planned here.
    ...(servesApi
      ? { notBuilt: NOT_BUILT }
      : { notBuilt: [], nothingThere: `this process ${runsNoApi(run)}: ask one that does` }),
  });
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.for({ ...options, telemetry }), adapter, {
    abortOnError: false,
    logger,
  });
  if (servesApi) serveDocumentation(app, version);
  return app;
};

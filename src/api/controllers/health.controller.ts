import { Controller, Get, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type * as wire from '../contract.js';
import { Readiness } from '../readiness.js';

/** Served by every process, whatever it runs. */
@Controller('health')
export class HealthController {
  constructor(private readonly readiness: Readiness) {}

  /** The process answers; what it depends on is not asked. */
  @Get('live')
  live(): { readonly status: 'ok' } {
    return { status: 'ok' };
  }

  @Get('ready')
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<wire.Ready> {
    const ready = await this.readiness.check();
    if (ready.status === 'unavailable') void reply.code(503).header('retry-after', '1');
    return ready;
  }
}

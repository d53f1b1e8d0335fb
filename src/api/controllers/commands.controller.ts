import { Body, Controller, HttpCode, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { BulkCommands } from '../bulk-commands.js';
import type * as wire from '../contract.js';
import { sendCommands, type SendCommandsBody } from '../requests/commands.js';

/** Many commands in one request. */
@Controller('v1/commands')
export class CommandsController {
  constructor(private readonly bulk: BulkCommands) {}

  @Post()
  @HttpCode(200)
  async send(
    @Body({ schema: sendCommands }) body: SendCommandsBody,
    @Req() request: FastifyRequest,
  ): Promise<wire.SendCommandsAnswer> {
    return { results: await this.bulk.run(body, request) };
  }
}

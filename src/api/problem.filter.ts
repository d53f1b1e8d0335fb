/** Turns errors into answers: problem documents, and nothing of what went wrong inside. */
import { type ArgumentsHost, Catch, type ExceptionFilter, Logger } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isDamage } from '../projections/jobs/stored-job.js';
import { problemOf } from './problem-of.js';
import { Problem, PROBLEM_MEDIA_TYPE } from './problem.js';

/** Answers with a problem. Whoever has begun an answer already, a stream, is cut off instead. */
export const sendProblem = (reply: FastifyReply, problem: Problem): void => {
  if (reply.raw.headersSent) {
    reply.raw.destroy();
    return;
  }
  void reply.code(problem.status).headers(problem.headers).type(PROBLEM_MEDIA_TYPE).send(JSON.stringify(problem));
};

@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('http');

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const problem = problemOf(error) ?? new Problem('internal', 'something went wrong on our side', { cause: error });
    if (problem.code === 'internal' || isDamage(error)) this.logFault(error, request);
    sendProblem(host.switchToHttp().getResponse<FastifyReply>(), problem);
  }

  /** The path without its query: filters are the client's business, not the log's. */
  private logFault(error: unknown, request: FastifyRequest): void {
    const where = `${request.method} ${request.url.split('?', 1)[0] ?? ''}, request ${request.id}`;
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    this.logger.error(`${where} failed: ${message}`, stack);
  }
}

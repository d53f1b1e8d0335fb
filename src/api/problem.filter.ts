/** Turns errors into answers: problem documents, and nothing of what went wrong inside. */
import { type ArgumentsHost, Catch, type ExceptionFilter, Logger } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isDamage } from '../projections/jobs/stored-job.js';
import { isTableMissing, problemOf } from './problem-of.js';
import { Problem, PROBLEM_MEDIA_TYPE } from './problem.js';

/** Answers with a problem. Whoever has begun an answer already, a stream, is cut off instead. */
export const sendProblem = (reply: FastifyReply, problem: Problem): void => {
  if (reply.raw.headersSent) {
    reply.raw.destroy();
    return;
  }
  void reply.code(problem.status).headers(problem.headers).type(PROBLEM_MEDIA_TYPE).send(JSON.stringify(problem));
};

const logger = new Logger('http');

/** The problem to answer with. A fault of ours is logged, and nothing of it is told. */
export const toldProblem = (error: unknown, request: FastifyRequest): Problem => {
  const problem =
    problemOf(error, request.method === 'GET') ??
    new Problem('internal', 'something went wrong on our side', { cause: error });
  if (problem.code === 'internal' || isDamage(error) || isTableMissing(error)) logFault(error, request);
  return problem;
};

/** The path without its query: filters are the client's business, not the log's. */
const logFault = (error: unknown, request: FastifyRequest): void => {
  const where = `${request.method} ${request.url.split('?', 1)[0] ?? ''}, request ${request.id}`;
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  logger.error(`${where} failed: ${message}`, stack);
};

@Catch()
export class ProblemFilter implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    sendProblem(http.getResponse<FastifyReply>(), toldProblem(error, http.getRequest<FastifyRequest>()));
  }
}

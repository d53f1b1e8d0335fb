/** The one place that turns errors into answers: problem documents, and nothing of what went wrong inside. */
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Refusal } from '../domain/errors.js';
import { PROBLEM_KINDS, PROBLEM_MEDIA_TYPE, Problem, type ProblemCode, validationFailed } from './problem.js';

/** Codes of errors that only have an HTTP status: those of the framework. */
const CODE_OF_STATUS = new Map<number, ProblemCode>([
  [400, 'validation_failed'],
  [401, 'unauthenticated'],
  [403, 'forbidden'],
  [404, 'not_found'],
  [405, 'method_not_allowed'],
  [410, 'gone'],
  [412, 'precondition_failed'],
  [413, 'payload_too_large'],
  [415, 'unsupported_media_type'],
  [429, 'rate_limited'],
  [501, 'not_implemented'],
  [503, 'unavailable'],
]);

const isClientFault = (status: number): boolean => status >= 400 && status < 500;

const ofStatus = (status: number, message: string, cause: unknown): Problem | undefined => {
  const code = CODE_OF_STATUS.get(status);
  if (code !== undefined)
    return new Problem(code, isClientFault(status) ? message : PROBLEM_KINDS[code].title, { cause });
  return isClientFault(status) ? validationFailed([{ path: '', message }]) : undefined;
};

const statusOf = (error: Error): number | undefined => {
  if (error instanceof HttpException) return error.getStatus();
  return 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : undefined;
};

/** The problem that an error means to the caller; undefined when it is a fault of ours. */
export const problemOf = (error: unknown): Problem | undefined => {
  if (error instanceof Problem) return error;
  if (error instanceof Refusal) {
    const { code, command, from } = error;
    const asked = code === 'illegal_transition' ? { from, command } : {};
    return new Problem(code, error.message, { members: { ...asked, jobStatus: from } });
  }
  if (!(error instanceof Error)) return undefined;
  const status = statusOf(error);
  return status === undefined ? undefined : ofStatus(status, error.message, error);
};

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
    if (problem.code === 'internal') this.logFault(error, request);
    sendProblem(host.switchToHttp().getResponse<FastifyReply>(), problem);
  }

  /** The path without its query: filters are the client's business, not the log's. */
  private logFault(error: unknown, request: FastifyRequest): void {
    const where = `${request.method} ${request.url.split('?', 1)[0] ?? ''}, request ${request.id}`;
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    this.logger.error(`${where} failed: ${message}`, stack);
  }
}

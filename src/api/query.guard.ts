/**
 * Refuses query parameters of calls that take none: a controller that forgot to declare a schema must not ignore
 * what the caller thought it would obey. Register it after authentication, which is judged first.
 */
import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import type { FastifyRequest } from 'fastify';
import { validationFailed } from './problem.js';

/** Nest's key of a `@Query()` argument starts with its kind. */
const QUERY_KIND = `${RouteParamtypes.QUERY}:`;

@Injectable()
export class QueryGuard implements CanActivate {
  private readonly declared = new WeakMap<object, boolean>();

  canActivate(context: ExecutionContext): boolean {
    const names = Object.keys(context.switchToHttp().getRequest<FastifyRequest>().query as object);
    if (names.length === 0 || this.declaresQuery(context)) return true;
    throw validationFailed(names.map((path) => ({ path, message: `${path} is not known here` })));
  }

  private declaresQuery(context: ExecutionContext): boolean {
    const handler = context.getHandler();
    const known = this.declared.get(handler);
    if (known !== undefined) return known;
    const args = Reflect.getMetadata(ROUTE_ARGS_METADATA, context.getClass(), handler.name) as object | undefined;
    const declares = Object.keys(args ?? {}).some((key) => key.startsWith(QUERY_KIND));
    this.declared.set(handler, declares);
    return declares;
  }
}

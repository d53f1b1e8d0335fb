/**
 * Who calls, and whether they may: 401 without a key that is known, 403 when none of its roles may make the call. Judged
 * by route, so that no spelling of a path leads past it, and before anything of the request is read but what a rule asks.
 */
import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Telemetry } from '../../telemetry.js';
import { API_KEYS } from '../ports.js';
import { Problem, unauthenticated } from '../problem.js';
import { RequestBody } from '../request-body.js';
import { type Access, accessTo, OPEN } from './access.js';
import type { ApiKeys } from './api-keys.js';
import { EVERYBODY, setCaller } from './caller.js';
import { requireAccess } from './require-access.js';
import { requireLocal } from './keyless.js';

const HEADER = 'authorization';
const BEARER = /^bearer +(.+)$/i;

/** Names follow values in it. */
const isRepeated = ({ rawHeaders }: FastifyRequest['raw']): boolean => {
  let times = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (name.length === HEADER.length && name.toLowerCase() === HEADER) times += 1;
  }
  return times > 1;
};

/** @throws Problem `unauthenticated` */
const secretOf = (request: FastifyRequest): string => {
  const written = request.headers.authorization;
  if (written === undefined) throw unauthenticated('this needs an API key: send Authorization: Bearer and the key');
  // A proxy in front may have looked at the other one.
  if (isRepeated(request.raw)) throw unauthenticated('there is more than one Authorization header: send one');
  const secret = BEARER.exec(written)?.[1];
  if (secret === undefined) throw unauthenticated('the Authorization header must be Bearer and an API key');
  return secret;
};

/** As the OpenAPI document names the route. */
const routeOf = ({ method, routeOptions }: FastifyRequest): string => {
  const path = (routeOptions.url ?? '')
    .replaceAll('::', '\0')
    .replace(/:(\w+)/g, '{$1}')
    .replaceAll('\0', ':');
  return `${method === 'HEAD' ? 'GET' : method} ${path}`;
};

/** Undefined when it cannot be read: whoever reads it next says what is wrong with it. */
const bodyOf = ({ body }: FastifyRequest): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value = body instanceof RequestBody ? body.value : {};
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
};

@Injectable()
export class KeyGuard implements CanActivate {
  private readonly known = new WeakMap<object, Access | typeof OPEN>();

  constructor(
    @Inject(API_KEYS) private readonly keys: ApiKeys | null,
    private readonly telemetry: Telemetry,
  ) {}

  /** @throws Problem `unauthenticated`, `forbidden` */
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    try {
      this.judge(request, context.getHandler());
      return true;
    } catch (error) {
      if (error instanceof Problem) this.telemetry.refused.inc({ code: error.code });
      throw error;
    }
  }

  private judge(request: FastifyRequest, handler: object): void {
    if (this.keys === null) {
      if (this.accessTo(request, handler) !== OPEN) requireLocal(request);
      setCaller(request, EVERYBODY);
      return;
    }
    const access = this.accessTo(request, handler);
    if (access === OPEN) return;
    const caller = this.keys.find(secretOf(request));
    if (caller === undefined) throw unauthenticated('this API key is not known');
    requireAccess(caller, access, access.rolesFor === undefined ? undefined : bodyOf(request));
    setCaller(request, caller);
  }

  /** A handler has one route, whichever method it is asked by. */
  private accessTo(request: FastifyRequest, handler: object): Access | typeof OPEN {
    const known = this.known.get(handler);
    if (known !== undefined) return known;
    const access = accessTo(routeOf(request));
    this.known.set(handler, access);
    return access;
  }
}

/** Gives controllers what `@Body({ schema })`, `@Query({ schema })` and `@Param(name, { schema })` ask for, validated. */
import { type ArgumentMetadata, Injectable, type PipeTransform } from '@nestjs/common';
import { z } from 'zod';
import { RequestBody } from './request-body.js';
import { validated } from './validation.js';

@Injectable()
export class RequestPipe implements PipeTransform {
  /** @throws Problem when the value is not what the schema says. */
  transform(value: unknown, { type, schema }: ArgumentMetadata): unknown {
    if (!(schema instanceof z.ZodType) || type === 'custom') return value;
    if (type !== 'body') return validated(schema, value, type);
    return validated(schema, value instanceof RequestBody ? value.value : {}, type);
  }
}

/** Counts commands by what came of them. */
import { Injectable } from '@nestjs/common';
import { SpanStatusCode } from '@opentelemetry/api';
import { Telemetry } from '../telemetry.js';
import { beginSpan } from '../tracing.js';
import { Refused, type Origin, type Outcome } from './envelope.js';
import {
  DeadlineExceeded,
  IdempotencyKeyReused,
  JobNotFound,
  NotOwner,
  Overloaded,
  PreconditionFailed,
} from './errors.js';

/** Events were appended; it was in effect already; its key had an answer; there was nothing to do it to. */
type Success = 'done' | 'in_effect' | 'replayed' | 'empty';

/** The code of an error that refuses; undefined when it is no refusal. */
const codeOf = (error: unknown): string | undefined => {
  if (error instanceof Refused) return error.refusal.code;
  if (error instanceof JobNotFound) return 'not_found';
  if (error instanceof NotOwner) return 'forbidden';
  if (error instanceof PreconditionFailed) return 'precondition_failed';
  if (error instanceof IdempotencyKeyReused) return 'idempotency_key_reused';
  return error instanceof Overloaded || error instanceof DeadlineExceeded ? 'unavailable' : undefined;
};

export const successOf = ({ events, replayed }: Outcome): Success =>
  replayed ? 'replayed' : events.length > 0 ? 'done' : 'in_effect';

@Injectable()
export class CommandMeter {
  constructor(private readonly telemetry: Telemetry) {}

  /** Runs a command under a span, which its events name, and counts it, `times` at once. */
  async measure<Asked extends { readonly origin: Origin }, Answer>(
    command: string,
    call: Asked,
    run: (call: Asked) => Promise<Answer>,
    success: (answer: Answer) => Success,
    times = 1,
  ): Promise<Answer> {
    const { span, traceparent } = beginSpan(`command ${command}`, call.origin.traceparent);
    let outcome = 'error';
    try {
      const answer = await run(withTrace(call, traceparent));
      outcome = success(answer);
      return answer;
    } catch (error) {
      const code = codeOf(error);
      if (code === undefined) span.setStatus({ code: SpanStatusCode.ERROR });
      else {
        this.telemetry.refused.inc({ code });
        outcome = 'refused';
      }
      throw error;
    } finally {
      this.telemetry.commands.inc({ command, outcome }, times);
      span.setAttributes({ 'jobledger.command': command, 'jobledger.outcome': outcome });
      span.end();
    }
  }
}

const withTrace = <Asked extends { readonly origin: Origin }>(call: Asked, traceparent: string | null): Asked =>
  traceparent === call.origin.traceparent ? call : { ...call, origin: { ...call.origin, traceparent } };

/** A body as it arrived: read when somebody may know what is in it, which is after authentication, and once. */
import { type Json, parseJsonBody } from './json-body.js';

export class RequestBody {
  private parsed: { readonly value: Json } | undefined;

  constructor(readonly bytes: Buffer) {}

  /**
   * What the client sent, before defaults; an empty body is `{}`. Compare this for idempotency.
   * @throws Problem `validation_failed` with the paths of what cannot be kept as it was sent.
   */
  get value(): Json {
    this.parsed ??= { value: this.bytes.length === 0 ? {} : parseJsonBody(this.bytes) };
    return this.parsed.value;
  }
}

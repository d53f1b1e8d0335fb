/**
 * An EventStoreDB on loopback, for tests: the v1 protocol over a `FakeLog`, with faults on demand. It has no
 * persistent subscriptions, no projections and no access control; several over one log stand for a cluster.
 */
import { randomUUID } from 'node:crypto';
import grpc from '@grpc/grpc-js';
import serverFeatures from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js';
import services from '@eventstore/db-client/generated/streams_grpc_pb.js';
import protocol from '@eventstore/db-client/generated/streams_pb.js';
import { type FakeEvent, type FakeExpected, FakeLog, type RecordedFakeEvent } from './fake-log.js';
import * as messages from './fake-messages.js';

interface PendingAppend {
  readonly stream: string;
  readonly expected: FakeExpected;
  readonly events: FakeEvent[];
}

type BatchCall = grpc.ServerDuplexStream<messages.BatchAppendReq, messages.BatchAppendResp>;
type ReadCall = grpc.ServerWritableStream<messages.ReadReq, messages.ReadResp>;
type AnyCall = BatchCall | ReadCall | grpc.ServerReadableStream<messages.AppendReq, messages.AppendResp>;

const failure = (
  code: grpc.status,
  details: string,
  metadata: Readonly<Record<string, string>> = {},
): grpc.StatusObject & Error =>
  Object.assign(new Error(details), { code, details, metadata: grpc.Metadata.fromHttp2Headers(metadata) });

const notLeader = (port: number): Error =>
  failure(grpc.status.NOT_FOUND, 'Leader info available', {
    ...{ exception: 'not-leader', 'leader-endpoint-host': '127.0.0.1', 'leader-endpoint-port': String(port) },
  });

const requiresLeader = ({ metadata }: AnyCall): boolean => metadata.get('requires-leader').includes('true');

const unavailable = (): Error => failure(grpc.status.UNAVAILABLE, 'the call was dropped');

const { ReadDirection } = protocol.ReadReq.Options;

/** After so many events that a filter drops a subscriber is told how far it is. */
const CHECKPOINT_EVERY = 32;

const expectedOf = (options: {
  hasAny(): boolean;
  hasNoStream(): boolean;
  hasStreamExists(): boolean;
  getStreamPosition?(): string;
  getRevision?(): string;
}): FakeExpected => {
  if (options.hasAny()) return 'any';
  if (options.hasStreamExists()) return 'streamExists';
  return options.hasNoStream() ? -1 : Number(options.getStreamPosition?.() ?? options.getRevision?.());
};

type Test = (event: RecordedFakeEvent) => boolean;

const filterOf = (options: NonNullable<ReturnType<messages.ReadReq['getOptions']>>): Test => {
  const filter = options.getFilter();
  if (filter === undefined) return () => true;
  const expression = filter.getStreamIdentifier() ?? filter.getEventType();
  if (expression === undefined) return () => true;
  const text: (event: RecordedFakeEvent) => string = filter.hasStreamIdentifier()
    ? ({ stream }) => stream
    : ({ type }) => type;
  const prefixes = expression.getPrefixList();
  const regex = expression.getRegex();
  return (event) =>
    prefixes.length > 0
      ? prefixes.some((prefix) => text(event).startsWith(prefix))
      : new RegExp(regex).test(text(event));
};

export class FakeEventStoreDb {
  /** Appends that are written and not answered: their call breaks instead. */
  answersToLose = 0;
  /** Appends to streams of which this is true are written, and answered when `answerHeld` says so. */
  isHeld: (stream: string) => boolean = () => false;
  /** Answers "Server Is Not Ready", as one that starts or stops. */
  isStarting = false;
  /** The port of the server that takes what requires the leader; undefined: this one. */
  leaderPort: number | undefined;
  /** Appends that reached the log. */
  appends = 0;
  readonly #held: (() => void)[] = [];
  #port = 0;
  #server: grpc.Server | undefined;
  readonly #calls = new Set<AnyCall>();
  #thawed: Promise<void> = Promise.resolve();
  #thaw: () => void = () => undefined;

  private constructor(readonly log: FakeLog) {}

  /** @param log another server's, to stand beside it in a cluster */
  static async start(log = new FakeLog()): Promise<FakeEventStoreDb> {
    const fake = new FakeEventStoreDb(log);
    await fake.start();
    return fake;
  }

  get url(): string {
    return `esdb://127.0.0.1:${this.#port}?tls=false`;
  }

  get port(): number {
    return this.#port;
  }

  /** Calls that are open now: subscriptions, and the one that a client appends through. */
  get openCalls(): number {
    return this.#calls.size;
  }

  /** Serves again on the same port, with everything that was written. */
  async start(): Promise<void> {
    const server = new grpc.Server();
    server.addService(services.StreamsService, this.#streams());
    server.addService(serverFeatures.ServerFeaturesService, {
      getSupportedMethods: (_: unknown, answer: grpc.sendUnaryData<unknown>) =>
        answer(null, messages.supportedMethods()),
    });
    this.#port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${this.#port}`, grpc.ServerCredentials.createInsecure(), (error, port) => {
        if (error) reject(error);
        else resolve(port);
      });
    });
    this.#server = server;
  }

  /** Goes away at once, with every connection. */
  stop(): void {
    this.thaw();
    this.#server?.forceShutdown();
    this.#server = undefined;
    this.#calls.clear();
  }

  /** Breaks every open call; the server goes on. */
  dropCalls(): void {
    for (const call of this.#calls) call.emit('error', unavailable());
    this.#calls.clear();
  }

  /** Answers what was held. */
  answerHeld(): void {
    for (const answer of this.#held.splice(0)) answer();
  }

  /** From now on nothing is answered, and nothing done, until `thaw`. */
  freeze(): void {
    this.#thawed = new Promise<void>((resolve) => {
      this.#thaw = resolve;
    });
  }

  thaw(): void {
    this.#thaw();
  }

  #streams(): grpc.UntypedServiceImplementation {
    return {
      batchAppend: (call: BatchCall) => this.#batchAppend(call),
      append: (
        call: grpc.ServerReadableStream<messages.AppendReq, messages.AppendResp>,
        answer: grpc.sendUnaryData<messages.AppendResp>,
      ) => this.#append(call, answer),
      read: (call: ReadCall) => void this.#read(call),
      delete: (call: grpc.ServerUnaryCall<messages.DeleteReq, unknown>, answer: grpc.sendUnaryData<unknown>) =>
        answer(
          null,
          messages.deleted(this.log.delete(messages.nameOf(call.request.getOptions()?.getStreamIdentifier()))),
        ),
      tombstone: (call: grpc.ServerUnaryCall<messages.TombstoneReq, unknown>, answer: grpc.sendUnaryData<unknown>) =>
        answer(
          null,
          messages.tombstoned(this.log.tombstone(messages.nameOf(call.request.getOptions()?.getStreamIdentifier()))),
        ),
    };
  }

  #open(call: AnyCall): void {
    this.#calls.add(call);
    const close = (): void => void this.#calls.delete(call);
    call.on('cancelled', close);
    call.on('close', close);
    call.on('error', close);
  }

  #batchAppend(call: BatchCall): void {
    this.#open(call);
    const pending = new Map<string, PendingAppend>();
    let before: Promise<void> = Promise.resolve();
    call.on('data', (request: messages.BatchAppendReq) => {
      // One after the other, in the order in which they came.
      before = before.then(() => this.#batchRequest(call, request, pending));
    });
    call.on('end', () => call.end());
  }

  async #batchRequest(
    call: BatchCall,
    request: messages.BatchAppendReq,
    pending: Map<string, PendingAppend>,
  ): Promise<void> {
    await this.#thawed;
    if (!this.#calls.has(call)) return;
    const id = request.getCorrelationId()?.getString() ?? '';
    const options = request.getOptions();
    if (options !== undefined) {
      const stream = messages.nameOf(options.getStreamIdentifier());
      pending.set(id, { stream, expected: expectedOf(options), events: [] });
    }
    const append = pending.get(id);
    if (append === undefined) return;
    append.events.push(...request.getProposedMessagesList().map(messages.proposedEvent));
    if (!request.getIsFinal()) return;
    pending.delete(id);
    const { stream, expected, events } = append;
    // Of one that is not the leader it is forwarded, unless it requires the leader: the client's are not said to.
    if (this.leaderPort !== undefined && requiresLeader(call)) {
      call.emit('error', notLeader(this.leaderPort));
      return;
    }
    if (this.isStarting) {
      call.write(messages.notReady(request, stream));
      return;
    }
    const result = this.log.append(stream, expected, events);
    this.appends += 1;
    if (this.answersToLose > 0) {
      this.answersToLose -= 1;
      call.emit('error', unavailable());
      return;
    }
    const answer = (): void => void call.write(messages.batchAnswer(request, stream, result));
    if (this.isHeld(stream)) this.#held.push(answer);
    else answer();
  }

  #append(
    call: grpc.ServerReadableStream<messages.AppendReq, messages.AppendResp>,
    answer: grpc.sendUnaryData<messages.AppendResp>,
  ): void {
    this.#open(call);
    const events: FakeEvent[] = [];
    let options: ReturnType<messages.AppendReq['getOptions']>;
    call.on('data', (request: messages.AppendReq) => {
      const proposed = request.getProposedMessage();
      if (proposed === undefined) options = request.getOptions();
      else events.push(messages.proposedEvent(proposed));
    });
    call.on('end', () => {
      const stream = messages.nameOf(options?.getStreamIdentifier());
      const result = this.log.append(stream, options === undefined ? 'any' : expectedOf(options), events);
      this.appends += 1;
      const response = messages.appendAnswer(result);
      if (response !== undefined) {
        answer(null, response);
        return;
      }
      const exception = result.kind === 'deleted' ? 'stream-deleted' : 'maximum-append-size-exceeded';
      answer(failure(grpc.status.FAILED_PRECONDITION, exception, { exception, 'stream-name': stream }));
    });
  }

  async #read(call: ReadCall): Promise<void> {
    this.#open(call);
    await this.#thawed;
    if (!this.#calls.has(call)) return;
    const options = call.request.getOptions();
    if (options === undefined) {
      call.emit('error', failure(grpc.status.INVALID_ARGUMENT, 'no options'));
      return;
    }
    if (options.hasSubscription()) {
      this.#subscribe(call, options);
      return;
    }
    if (this.leaderPort !== undefined && requiresLeader(call)) {
      call.emit('error', notLeader(this.leaderPort));
      return;
    }
    const events = options.hasStream() ? this.#streamEvents(call, options) : this.#allEvents(call, options);
    if (events === undefined) return;
    // 24.2 looks for no event at all without an end, on a whole core.
    if (Number(options.getCount()) === 0) return;
    for (const event of events.slice(0, Number(options.getCount()))) call.write(messages.eventMessage(event));
    call.end();
  }

  /** Undefined when the call was answered otherwise. */
  #streamEvents(
    call: ReadCall,
    options: NonNullable<ReturnType<messages.ReadReq['getOptions']>>,
  ): readonly RecordedFakeEvent[] | undefined {
    const asked = options.getStream()!;
    const name = messages.nameOf(asked.getStreamIdentifier());
    const events = this.log.read(name);
    if (events === 'tombstoned') {
      const metadata = { exception: 'stream-deleted', 'stream-name': name };
      call.emit('error', failure(grpc.status.FAILED_PRECONDITION, `Event stream '${name}' is deleted.`, metadata));
      return undefined;
    }
    if (events === undefined) {
      call.write(messages.streamNotFound(name));
      call.end();
      return undefined;
    }
    const isBackwards = options.getReadDirection() === ReadDirection.BACKWARDS;
    if (asked.hasStart()) return isBackwards ? events.slice(0, 1) : events;
    if (asked.hasEnd()) return isBackwards ? [...events].reverse() : [];
    const from = BigInt(asked.getRevision());
    return isBackwards
      ? events.filter(({ revision }) => revision <= from).reverse()
      : events.filter(({ revision }) => revision >= from);
  }

  #allEvents(
    call: ReadCall,
    options: NonNullable<ReturnType<messages.ReadReq['getOptions']>>,
  ): readonly RecordedFakeEvent[] | undefined {
    const asked = options.getAll()!;
    const isBackwards = options.getReadDirection() === ReadDirection.BACKWARDS;
    const { all } = this.log;
    if (asked.hasStart()) return isBackwards ? [] : all;
    // Copies no more of a long log than was asked for.
    const count = Number(options.getCount());
    const before = (end: number) => all.slice(Math.max(0, end - count), end).reverse();
    if (asked.hasEnd()) return isBackwards ? before(all.length) : [];
    const place = this.log.place(BigInt(asked.getPosition()!.getCommitPosition()));
    if (place === 'beyond' && !isBackwards) return [];
    if (typeof place === 'string') {
      const result = place === 'beyond' ? 'Error' : 'InvalidPosition';
      call.emit('error', failure(grpc.status.UNKNOWN, `Unexpected ReadAllResult: ${result}`));
      return undefined;
    }
    return isBackwards ? before(place) : all.slice(place, place + count);
  }

  #subscribe(call: ReadCall, options: NonNullable<ReturnType<messages.ReadReq['getOptions']>>): void {
    const { all } = this.log;
    const name = options.hasStream() ? messages.nameOf(options.getStream()!.getStreamIdentifier()) : undefined;
    const passes = filterOf(options);
    const isAsked: Test = (event) => (name === undefined || event.stream === name) && passes(event);
    let next = this.#subscribedFrom(options);
    let dropped = 0;
    const pump = (): void => {
      for (; next < all.length; next += 1) {
        const event = all[next]!;
        if (isAsked(event)) {
          call.write(messages.eventMessage(event));
          dropped = 0;
        } else if (options.hasFilter() && (dropped += 1) % CHECKPOINT_EVERY === 0) {
          call.write(messages.checkpointAt(event.position));
        }
      }
    };
    call.write(messages.confirmation(randomUUID()));
    pump();
    call.write(messages.caughtUp());
    const stop = this.log.onAppended(() => {
      void this.#thawed.then(() => {
        if (this.#calls.has(call)) pump();
      });
    });
    call.on('cancelled', stop);
    call.on('error', stop);
  }

  /** Index in the log of the first event that a subscription gets: what it names is exclusive. */
  #subscribedFrom(options: NonNullable<ReturnType<messages.ReadReq['getOptions']>>): number {
    const { all } = this.log;
    const after = (test: Test): number => {
      const index = all.findIndex(test);
      return index < 0 ? all.length : index;
    };
    const stream = options.getStream();
    if (stream !== undefined) {
      if (stream.hasEnd()) return all.length;
      const name = messages.nameOf(stream.getStreamIdentifier());
      const from = stream.hasRevision() ? BigInt(stream.getRevision()) : -1n;
      return after((event) => event.stream === name && event.revision > from);
    }
    const position = options.getAll();
    if (position?.hasEnd() === true) return all.length;
    const from = position?.hasPosition() === true ? BigInt(position.getPosition()!.getCommitPosition()) : -1n;
    return after((event) => event.position > from);
  }
}

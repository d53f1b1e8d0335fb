/** Messages of the v1 protocol, from the client's own generated classes. */
import empty from 'google-protobuf/google/protobuf/empty_pb.js';
import any from 'google-protobuf/google/protobuf/any_pb.js';
import features from '@eventstore/db-client/generated/serverfeatures_pb.js';
import shared from '@eventstore/db-client/generated/shared_pb.js';
import status from '@eventstore/db-client/generated/status_pb.js';
import streams from '@eventstore/db-client/generated/streams_pb.js';
import { type FakeAppendResult, type FakeEvent, MAX_APPEND_SIZE, type RecordedFakeEvent } from './fake-log.js';

type Proposed = InstanceType<typeof streams.BatchAppendReq.ProposedMessage>;
type Identifier = InstanceType<typeof shared.StreamIdentifier>;
export type BatchAppendReq = InstanceType<typeof streams.BatchAppendReq>;
export type BatchAppendResp = InstanceType<typeof streams.BatchAppendResp>;
export type AppendReq = InstanceType<typeof streams.AppendReq>;
export type AppendResp = InstanceType<typeof streams.AppendResp>;
export type ReadReq = InstanceType<typeof streams.ReadReq>;
export type ReadResp = InstanceType<typeof streams.ReadResp>;
export type DeleteReq = InstanceType<typeof streams.DeleteReq>;
export type TombstoneReq = InstanceType<typeof streams.TombstoneReq>;

const TICKS_PER_MS = 10_000n;

export const nameOf = (identifier: Identifier | undefined): string =>
  Buffer.from(identifier?.getStreamName_asU8() ?? []).toString();

const identifierOf = (name: string): Identifier => {
  const identifier = new shared.StreamIdentifier();
  identifier.setStreamName(Buffer.from(name).toString('base64'));
  return identifier;
};

const uuid = (id: string): InstanceType<typeof shared.UUID> => {
  const message = new shared.UUID();
  message.setString(id);
  return message;
};

export const proposedEvent = (
  message: Pick<Proposed, 'getId' | 'getMetadataMap' | 'getData_asU8'> & {
    getCustomMetadata_asU8(): Uint8Array;
  },
): FakeEvent => ({
  id: message.getId()?.getString() ?? '',
  type: message.getMetadataMap().get('type') ?? '',
  contentType: message.getMetadataMap().get('content-type') ?? '',
  data: message.getData_asU8(),
  metadata: message.getCustomMetadata_asU8(),
});

/** The error of a batch append, as the client reads it. */
const batchError = (result: Exclude<FakeAppendResult, { kind: 'written' }>): InstanceType<typeof status.Status> => {
  const error = new status.Status();
  const details = new any.Any();
  if (result.kind === 'wrong revision') {
    const wrong = new shared.WrongExpectedVersion();
    if (result.actual === undefined) wrong.setCurrentNoStream(new empty.Empty());
    else wrong.setCurrentStreamRevision(String(result.actual));
    details.pack(wrong.serializeBinary(), 'event_store.client.WrongExpectedVersion');
  } else if (result.kind === 'deleted') {
    details.pack(new shared.StreamDeleted().serializeBinary(), 'event_store.client.StreamDeleted');
  } else {
    const large = new shared.MaximumAppendSizeExceeded();
    large.setMaxappendsize(MAX_APPEND_SIZE);
    details.pack(large.serializeBinary(), 'event_store.client.MaximumAppendSizeExceeded');
  }
  error.setDetails(details);
  return error;
};

export const batchAnswer = (request: BatchAppendReq, stream: string, result: FakeAppendResult): BatchAppendResp => {
  const response = new streams.BatchAppendResp();
  response.setCorrelationId(request.getCorrelationId());
  response.setStreamIdentifier(identifierOf(stream));
  if (result.kind === 'written') {
    const success = new streams.BatchAppendResp.Success();
    success.setCurrentRevision(String(result.revision));
    const position = new shared.AllStreamPosition();
    position.setCommitPosition(String(result.position));
    position.setPreparePosition(String(result.position));
    success.setPosition(position);
    response.setSuccess(success);
  } else {
    response.setError(batchError(result));
  }
  return response;
};

/** What a server says while it starts or stops. */
export const notReady = (request: BatchAppendReq, stream: string): BatchAppendResp => {
  const response = new streams.BatchAppendResp();
  response.setCorrelationId(request.getCorrelationId());
  response.setStreamIdentifier(identifierOf(stream));
  const error = new status.Status();
  const details = new any.Any();
  details.pack(new Uint8Array(), 'google.protobuf.Empty');
  error.setMessage('Server Is Not Ready');
  error.setDetails(details);
  response.setError(error);
  return response;
};

export const eventMessage = (event: RecordedFakeEvent): ReadResp => {
  const recorded = new streams.ReadResp.ReadEvent.RecordedEvent();
  recorded.setId(uuid(event.id));
  recorded.setStreamIdentifier(identifierOf(event.stream));
  recorded.setStreamRevision(String(event.revision));
  recorded.setPreparePosition(String(event.position));
  recorded.setCommitPosition(String(event.position));
  recorded.setData(event.data);
  recorded.setCustomMetadata(event.metadata);
  const metadata = recorded.getMetadataMap();
  metadata.set('type', event.type);
  metadata.set('content-type', event.contentType);
  metadata.set('created', String(BigInt(event.created) * TICKS_PER_MS));
  const read = new streams.ReadResp.ReadEvent();
  read.setEvent(recorded);
  read.setCommitPosition(String(event.position));
  const response = new streams.ReadResp();
  response.setEvent(read);
  return response;
};

export const streamNotFound = (name: string): ReadResp => {
  const notFound = new streams.ReadResp.StreamNotFound();
  notFound.setStreamIdentifier(identifierOf(name));
  const response = new streams.ReadResp();
  response.setStreamNotFound(notFound);
  return response;
};

export const confirmation = (id: string): ReadResp => {
  const confirmed = new streams.ReadResp.SubscriptionConfirmation();
  confirmed.setSubscriptionId(id);
  const response = new streams.ReadResp();
  response.setConfirmation(confirmed);
  return response;
};

export const caughtUp = (): ReadResp => {
  const response = new streams.ReadResp();
  response.setCaughtUp(new streams.ReadResp.CaughtUp());
  return response;
};

export const checkpointAt = (position: bigint): ReadResp => {
  const checkpoint = new streams.ReadResp.Checkpoint();
  checkpoint.setCommitPosition(String(position));
  checkpoint.setPreparePosition(String(position));
  const response = new streams.ReadResp();
  response.setCheckpoint(checkpoint);
  return response;
};

export const deleted = (position: bigint): InstanceType<typeof streams.DeleteResp> => {
  const at = new streams.DeleteResp.Position();
  at.setCommitPosition(String(position));
  at.setPreparePosition(String(position));
  const response = new streams.DeleteResp();
  response.setPosition(at);
  return response;
};

export const tombstoned = (position: bigint): InstanceType<typeof streams.TombstoneResp> => {
  const at = new streams.TombstoneResp.Position();
  at.setCommitPosition(String(position));
  at.setPreparePosition(String(position));
  const response = new streams.TombstoneResp();
  response.setPosition(at);
  return response;
};

/** The answer to an append of its own call, which a client makes when it sends credentials. */
export const appendAnswer = (result: FakeAppendResult): AppendResp | undefined => {
  const response = new streams.AppendResp();
  if (result.kind === 'written') {
    const success = new streams.AppendResp.Success();
    success.setCurrentRevision(String(result.revision));
    const position = new streams.AppendResp.Position();
    position.setCommitPosition(String(result.position));
    position.setPreparePosition(String(result.position));
    success.setPosition(position);
    response.setSuccess(success);
    return response;
  }
  if (result.kind !== 'wrong revision') return undefined;
  const wrong = new streams.AppendResp.WrongExpectedVersion();
  if (result.actual === undefined) wrong.setCurrentNoStream(new shared.Empty());
  else wrong.setCurrentRevision(String(result.actual));
  response.setWrongExpectedVersion(wrong);
  return response;
};

export const supportedMethods = (): InstanceType<typeof features.SupportedMethods> => {
  const batchAppend = new features.SupportedMethod();
  batchAppend.setServiceName('event_store.client.streams.streams');
  batchAppend.setMethodName('batchappend');
  const supported = new features.SupportedMethods();
  supported.setEventStoreServerVersion('24.2.0');
  supported.setMethodsList([batchAppend]);
  return supported;
};

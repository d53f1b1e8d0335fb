/**
 * Golden files: for each type and version of event the log of one job, byte by byte as it was stored when the version
 * was made, and what the job was at its end. They are kept for ever and never written again.
 */
import { readFileSync } from 'node:fs';
import { UNCONDITIONAL } from '../../src/commands/envelope.js';
import { toRequest } from '../../src/commands/job-requests.js';
import { Refusals } from '../../src/commands/refusals.js';
import { decide } from '../../src/domain/decide.js';
import { Refusal } from '../../src/domain/errors.js';
import type { Context, JobCommand } from '../../src/domain/job-commands.js';
import type { Job } from '../../src/domain/job.js';
import { mergePolicy } from '../../src/domain/policy.js';
import { versionOf, type EventType } from '../../src/domain/upcast.js';
import { canonicalJson } from '../../src/event-store/canonical-json.js';
import type { AppendRequest, AppendResult, EventStore, RecordedEvent } from '../../src/event-store/event-store.js';
import { contentHash, eventLeaf } from '../../src/event-store/hash-chain.js';
import { MemoryEventStore } from '../../src/event-store/memory/memory-event-store.js';
import { replay } from '../../src/projections/jobs/stored-job.js';
import { GOLDEN_POLICY, GOLDEN_START, GOLDEN_STEP_MS, LIVES, type Step } from './golden-lives.js';

export const GOLDEN_FOLDER = new URL('../golden/', import.meta.url);
const JOB_ID = '01980000-0000-7000-8000-000000000001';

/** An event as it is stored: `data` and `metadata` are the canonical text, `leaf` is its leaf of the hash chain in hex. */
export interface GoldenEvent extends Omit<RecordedEvent, 'data' | 'metadata'> {
  readonly data: string;
  readonly metadata: string;
  readonly leaf: string;
}

/** File names of a version of a type: its log, and the job that it folds into. */
export const goldenFiles = (type: string, version: number) => ({
  log: `${type}.v${version}.jsonl`,
  job: `${type}.v${version}.job.json`,
});

export const readGolden = (log: string): readonly GoldenEvent[] =>
  readFileSync(new URL(log, GOLDEN_FOLDER), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as GoldenEvent);

export const recordedOf = ({ leaf: _, data, metadata, ...event }: GoldenEvent): RecordedEvent => ({
  ...event,
  data: JSON.parse(data) as RecordedEvent['data'],
  metadata: JSON.parse(metadata) as RecordedEvent['metadata'],
});

export const leafOf = (event: Omit<GoldenEvent, 'leaf'>): string =>
  eventLeaf(BigInt(event.position), event.revision, contentHash(event)).toString('hex');

const toGolden = (recorded: RecordedEvent): GoldenEvent => {
  const { position, stream, revision, id, type, version, at } = recorded;
  const data = canonicalJson(recorded.data, type);
  const metadata = canonicalJson(recorded.metadata, type);
  const event = { position, stream, revision, id, type, version, at, data, metadata };
  return { ...event, leaf: leafOf(event) };
};

/** Lives a life on the real way from command to log, with a clock of its own and numbered ids. */
class Life {
  private now = GOLDEN_START;
  private ids = 0;
  private readonly store = new MemoryEventStore({ clock: () => this.now });
  private job: Job | null = null;

  async live(steps: readonly Step[]): Promise<readonly RecordedEvent[]> {
    for (const step of steps) {
      await this.take(step);
      this.now += GOLDEN_STEP_MS;
    }
    return (await this.store.readAll({ after: '0', limit: 1_000 })).events;
  }

  private async take(step: Step): Promise<void> {
    const command: JobCommand = 'name' in step ? step : { name: 'resume', reason: null };
    // The reaper comes when the lease has run out.
    if (command.name === 'reap') this.now = command.clocks.leaseExpiresAt! + GOLDEN_STEP_MS;
    const worker = 'token' in command && command.token !== undefined;
    const type = command.name === 'reap' ? 'reaper' : worker || command.name === 'claim' ? 'worker' : 'client';
    const origin = {
      actor: { type, id: 'actor-1' } as const,
      commandId: `command-${(this.now - GOLDEN_START) / GOLDEN_STEP_MS}`,
      correlationId: null,
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      reason: 'asked for',
    };
    const spec = command.name === 'create' ? command.spec : this.job!.spec;
    const context: Context = { now: this.now, random: 0.5, policy: mergePolicy(GOLDEN_POLICY, spec.policy ?? {}) };
    const envelope = { jobId: JOB_ID, command, origin, ...UNCONDITIONAL };
    try {
      const decided = 'name' in step ? decide(this.job, command, context) : [step];
      await this.append([toRequest(this.job, decided, envelope, context).request]);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const refusals = new Refusals({
        append: (requests: readonly AppendRequest[]) => this.append(requests),
        readStream: (...asked: Parameters<EventStore['readStream']>) => this.store.readStream(...asked),
      } as EventStore);
      await refusals.record(envelope, error, this.job!);
    }
    this.job = replay((await this.store.readAll({ after: '0', limit: 1_000 })).events).stored!.job;
  }

  private append(requests: readonly AppendRequest[]): Promise<readonly AppendResult[]> {
    const numbered = requests.map(({ beside: _, ...request }) => ({
      ...request,
      events: request.events.map((event) => ({ ...event, id: this.nextId() })),
    }));
    return this.store.append(numbered);
  }

  private nextId(): string {
    this.ids += 1;
    return `01980000-0000-7000-9000-${String(this.ids).padStart(12, '0')}`;
  }
}

/** What this program writes today in the life of the type. */
export const writtenToday = async (type: EventType): Promise<readonly GoldenEvent[]> => {
  const events = await new Life().live(LIVES[type]);
  if (!events.some((event) => event.type === type)) throw new Error(`the life for ${type} has no such event`);
  return events.map(toGolden);
};

/** Of the type itself: other types of its life may be at a newer version by now. */
const ofType = (type: EventType, events: readonly GoldenEvent[]): readonly object[] =>
  events.filter((event) => event.type === type).map(({ version, data, metadata }) => ({ version, data, metadata }));

/** Why the file of the type does not say what this program writes; undefined when it does. */
export const complaintAbout = async (type: EventType, golden: readonly GoldenEvent[]): Promise<string | undefined> => {
  const now = JSON.stringify(ofType(type, await writtenToday(type)), null, 1);
  const then = JSON.stringify(ofType(type, golden), null, 1);
  if (now === then) return undefined;
  return (
    `what is written of ${type} v${versionOf(type)} is no longer what is kept in test/golden. Logs hold what was ` +
    `written: raise its version by an upcaster in src/domain/upcast.ts, then run \`npm run golden\`.\n` +
    `kept: ${then}\nnow: ${now}`
  );
};

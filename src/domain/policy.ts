/**
 * Policy: the thresholds that bound a job's life. Merged field by field, nested ones too, the nearest wins: the job's
 * own `policy`, its `preset`, the configured default. A job keeps only what its creator gave, so a changed default
 * holds for jobs that already run.
 */

export type OnStale = 'fail' | 'requeue' | 'cancel';
export type OnChildFailure = 'fail' | 'continue' | 'ignore';
export type PresetName = 'protea' | 'antenna' | 'beacon';

export interface RetryPolicy {
  readonly initialMs: number;
  readonly factor: number;
  readonly maxMs: number;
  /** 0 to 1: the share of the delay that chance may take off. */
  readonly jitter: number;
}

export interface CompletionPolicy {
  readonly minSuccessRatio: number;
  readonly comparator: '>=' | '>';
}

export interface Policy {
  /** How long a lease lives without an accepted call. */
  readonly leaseMs: number;
  /** Age of the attempt, from its claim, before silence counts; 0: silence alone decides. */
  readonly timeoutMs: number;
  /** Silence of the work before it is stalled; 0: age alone decides. */
  readonly stallMs: number;
  readonly onStale: OnStale;
  /** Leases a run may lose; the next one ends it. */
  readonly maxLostLeases: number;
  /** Failed attempts that end a run. */
  readonly maxAttempts: number;
  readonly retry: RetryPolicy;
  /** Throttles a run may have; the next one ends it. */
  readonly maxThrottles: number;
  readonly completion: CompletionPolicy;
  readonly itemTimeoutMs: number;
  readonly finalizeLimitMs: number;
  readonly waitLimitMs: number;
  readonly cancelLimitMs: number;
  readonly createdAlertMs: number;
  readonly queuedAlertMs: number;
  readonly claimedAlertMs: number;
  readonly runningAlertMs: number;
  readonly onChildFailure: OnChildFailure;
}

type PartialDeep<T> = {
  readonly [K in keyof T]?: T[K] extends string | number ? T[K] : PartialDeep<T[K]>;
};

/** What a creator or the configuration says; everything else comes from further away. */
export type PolicyOverrides = PartialDeep<Policy>;

/** What a field takes, for validation at every edge: request bodies, configuration, client. */
export type FieldRule =
  | { readonly kind: 'duration'; readonly min: number; readonly max: number; readonly zeroAllowed: boolean }
  | { readonly kind: 'count'; readonly min: number; readonly max: number }
  | { readonly kind: 'number'; readonly min: number; readonly max: number }
  | { readonly kind: 'choice'; readonly choices: readonly string[] };

const DAY = 86_400_000;
/** Longest duration a policy takes: 10 years. */
export const MAX_DURATION_MS = 3_650 * DAY;

const duration = (max = MAX_DURATION_MS): FieldRule => ({ kind: 'duration', min: 100, max, zeroAllowed: false });
const durationOrZero: FieldRule = { kind: 'duration', min: 100, max: MAX_DURATION_MS, zeroAllowed: true };
const count = (min: number, max: number): FieldRule => ({ kind: 'count', min, max });
const number = (min: number, max: number): FieldRule => ({ kind: 'number', min, max });
const choice = (...choices: string[]): FieldRule => ({ kind: 'choice', choices });

/** Every field of a policy by its dotted path, with its range. Durations are whole milliseconds. */
export const POLICY_FIELDS: Readonly<Record<string, FieldRule>> = {
  leaseMs: duration(DAY),
  timeoutMs: durationOrZero,
  stallMs: durationOrZero,
  onStale: choice('fail', 'requeue', 'cancel'),
  maxLostLeases: count(0, 1_000_000),
  maxAttempts: count(1, 100),
  'retry.initialMs': duration(),
  'retry.factor': number(1, 100),
  'retry.maxMs': duration(),
  'retry.jitter': number(0, 1),
  maxThrottles: count(0, 1_000_000),
  'completion.minSuccessRatio': number(0, 1),
  'completion.comparator': choice('>=', '>'),
  itemTimeoutMs: duration(),
  finalizeLimitMs: duration(),
  waitLimitMs: duration(),
  cancelLimitMs: duration(),
  createdAlertMs: duration(),
  queuedAlertMs: duration(),
  claimedAlertMs: duration(),
  runningAlertMs: duration(),
  onChildFailure: choice('fail', 'continue', 'ignore'),
};

const SECOND = 1_000;
const MINUTE = 60_000;
const HOUR = 3_600_000;

const protea: Policy = {
  leaseMs: 2 * MINUTE,
  timeoutMs: 6 * HOUR,
  stallMs: 30 * MINUTE,
  onStale: 'fail',
  maxLostLeases: 3,
  maxAttempts: 3,
  retry: { initialMs: SECOND, factor: 2, maxMs: 10 * MINUTE, jitter: 0.2 },
  maxThrottles: 100,
  completion: { minSuccessRatio: 0, comparator: '>' },
  itemTimeoutMs: 15 * MINUTE,
  finalizeLimitMs: 15 * MINUTE,
  waitLimitMs: 7 * DAY,
  cancelLimitMs: 5 * MINUTE,
  createdAlertMs: DAY,
  queuedAlertMs: 5 * MINUTE,
  claimedAlertMs: 10 * MINUTE,
  runningAlertMs: 30 * MINUTE,
  onChildFailure: 'continue',
};

/** The numbers of the systems whose jobs this service was made for. `protea` is the default. */
export const PRESETS: Readonly<Record<PresetName, Policy>> = {
  protea,
  antenna: {
    ...protea,
    leaseMs: 5 * MINUTE,
    timeoutMs: 0,
    stallMs: 10 * MINUTE,
    onStale: 'cancel',
    maxAttempts: 5,
    retry: { initialMs: SECOND, factor: 2, maxMs: 15 * SECOND, jitter: 0.2 },
    completion: { minSuccessRatio: 0.5, comparator: '>=' },
    itemTimeoutMs: 10 * MINUTE,
    finalizeLimitMs: 10 * MINUTE,
    runningAlertMs: 10 * MINUTE,
  },
  beacon: {
    ...protea,
    leaseMs: 10 * MINUTE,
    timeoutMs: 15 * MINUTE,
    stallMs: 0,
    retry: { initialMs: MINUTE, factor: 2, maxMs: 10 * MINUTE, jitter: 0.2 },
    completion: { minSuccessRatio: 0.67, comparator: '>=' },
  },
};

/** Field by field, nested ones too; later overrides win. */
export const mergePolicy = (base: Policy, ...overrides: (PolicyOverrides | undefined)[]): Policy =>
  overrides.reduce<Policy>(
    (policy, over) =>
      over === undefined
        ? policy
        : {
            ...policy,
            ...over,
            retry: { ...policy.retry, ...over.retry },
            completion: { ...policy.completion, ...over.completion },
          },
    base,
  );

/** What a creator said of the policy of a job. `maxAttempts` of create wins over any policy. */
export interface PolicyChoice {
  readonly preset?: PresetName;
  readonly policy?: PolicyOverrides;
  readonly maxAttempts?: number;
}

/**
 * The policy in force for a job.
 * @param configured the configured default: a preset with the configuration's overrides merged in.
 */
export const effectivePolicy = (configured: Policy, choice: PolicyChoice): Policy =>
  mergePolicy(
    choice.preset === undefined ? configured : PRESETS[choice.preset],
    choice.policy,
    choice.maxAttempts === undefined ? undefined : { maxAttempts: choice.maxAttempts },
  );

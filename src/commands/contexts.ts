import type { Context } from '../domain/job-commands.js';
import type { JobSpec } from '../domain/job-events.js';
import { effectivePolicy, type Policy } from '../domain/policy.js';
import type { Clock } from '../leases/clock.js';

/** What a job's creator said that bears on its policy. */
type Chooser = Pick<JobSpec, 'preset' | 'policy' | 'maxAttempts'>;

/** What the world adds to a decision: time, chance, and the policy in force. */
export class Contexts {
  constructor(
    private readonly clock: Clock,
    /** The configured default. */
    private readonly configured: Policy,
    /** In [0, 1). */
    private readonly random: () => number,
  ) {}

  of(spec: Chooser): Context {
    return { now: this.clock.now(), random: this.random(), policy: this.policyOf(spec) };
  }

  policyOf(spec: Chooser): Policy {
    // Of most jobs: nothing is made for them.
    if (spec.preset === null && spec.policy === null && spec.maxAttempts === null) return this.configured;
    return effectivePolicy(this.configured, {
      ...(spec.preset === null ? {} : { preset: spec.preset }),
      ...(spec.policy === null ? {} : { policy: spec.policy }),
      ...(spec.maxAttempts === null ? {} : { maxAttempts: spec.maxAttempts }),
    });
  }
}

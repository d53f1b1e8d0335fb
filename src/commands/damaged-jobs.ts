import { performance } from 'node:perf_hooks';

/** How long a job whose history cannot be read is passed over before it is tried again, ms. */
const RETRY_MS = 30_000;

/** Jobs whose history could not be read a short time ago. */
export class DamagedJobs {
  private readonly until = new Map<string, number>();

  /** At most: of those whose time is up, some are still counted. */
  get size(): number {
    return this.until.size;
  }

  add(jobId: string): void {
    this.until.set(jobId, performance.now() + RETRY_MS);
  }

  has(jobId: string): boolean {
    const until = this.until.get(jobId);
    if (until === undefined) return false;
    if (until > performance.now()) return true;
    this.until.delete(jobId);
    return false;
  }
}

/**
 * From due work to commands: a pure function of streams. It carries no durability: the loop that feeds it finds the
 * same work again after a crash, and an element that throws takes nothing else with it.
 */
import { EMPTY, mergeMap, of, type Observable } from 'rxjs';
import type { Rule } from '../domain/job-events.js';
import type { CommandOf } from '../domain/job-commands.js';
import { judge, type AskedBy, type DueWork } from './judge.js';

/** Asks the ledger to judge a job, and to act unless the job moved since. */
export class ReapJob {
  constructor(
    readonly jobId: string,
    readonly rule: Rule,
    readonly command: CommandOf<'reap'>,
    /** Of the lease when it was judged. */
    readonly beats: number,
    /** Of the job when it was judged: the clocks of the command are this attempt's. */
    readonly revision: number,
    readonly askedBy: AskedBy = {},
    /** Who held the job when it was judged. */
    readonly workerId: string | null = null,
  ) {}
}

export const reapSaga = (due: Observable<DueWork>): Observable<ReapJob> =>
  due.pipe(
    mergeMap((work) => {
      const judgement = judge(work);
      if (judgement.kind === 'live') return EMPTY;
      const { clocks, rule } = judgement;
      const { job, lastActivityPosition } = work.stored;
      const command = { name: 'reap', clocks, lastActivityPosition } as const;
      const { beats, workerId } = work.lease;
      return of(new ReapJob(job.id, rule, command, beats, job.revision, work.askedBy, workerId));
    }),
  );

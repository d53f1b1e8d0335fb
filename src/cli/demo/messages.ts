/** What a demo and its worker processes tell each other over IPC, and how a worker process is set up. */

/** To a worker process. */
export type Order =
  /** Waits where a fault can strike, from now on. */
  | 'wait'
  /** Goes on from there, and waits no more. */
  | 'go-on'
  /** Finishes what it holds, then exits. */
  | 'stop'
  /** Another is frozen, and cannot see that the demo has gone: whoever does thaws it. */
  | { readonly frozenPid: number | null };

/** From a worker process of a catalogue: it waits in the middle of a job, with work done that it has not reported. */
export interface MidWork {
  readonly jobId: string;
  /** Entries that the ledger has been told of, with a checkpoint. */
  readonly reported: number;
  readonly entries: number;
}

/** Of any worker process; each kind adds its own. */
export interface WorkerSetup {
  readonly url: string;
  readonly apiKey: string | null;
  readonly queue: string;
  readonly workerId: string;
  readonly leaseMs: number;
}

export interface CatalogueSetup extends WorkerSetup {
  /** Wait for `go-on` in the middle of each job, where a fault can strike. */
  readonly waitsInMidWork: boolean;
}

/** In the environment: `JOBLEDGER_` is kept for settings of the service. */
const VARIABLE = 'DEMO_WORKER';

export const writeSetup = (setup: WorkerSetup): NodeJS.ProcessEnv => ({ [VARIABLE]: JSON.stringify(setup) });

/** Each kind of worker knows what its demo wrote. @throws Error when the process was not started by a demo. */
export const readSetup = (env: NodeJS.ProcessEnv): WorkerSetup => {
  const text = env[VARIABLE];
  if (text === undefined) throw new Error('this process is started by the demo');
  return JSON.parse(text) as WorkerSetup;
};

/** The ways in which clients make jobs, by name. */
import type { CreateJob } from '../../../src/api/contract.js';
import type { Random } from '../../simulation/random.js';
import type { Cluster } from './running-cluster.js';
import { command, createGrid, createJob, createJobs, expectStatus } from './work.js';

type Make = (cluster: Pick<Cluster, 'recorder'>, job: Partial<CreateJob>, random: Random) => Promise<readonly string[]>;

const one: Make = async (cluster, job) => [(await createJob(cluster, job)).jobId];

const CREATIONS = {
  one,
  several: (cluster, job, random) => createJobs(cluster, random.int(2, 6), job),
  many: (cluster, job, random) => createJobs(cluster, random.int(20, 50), job),
  grid: (cluster, job) => createGrid(cluster, job, { region: ['eu', 'us'], model: [1, 2] }),
  delayed: (cluster, job, random) => one(cluster, { ...job, delayMs: random.int(100, 500) }, random),
  urgent: (cluster, job, random) => one(cluster, { ...job, priority: random.int(-10, 10) }, random),
  /** Two clients may have been told to start it. */
  draft: async (cluster, job, random) => {
    const [id = ''] = await one(cluster, { ...job, autostart: false }, random);
    const starts = await Promise.all(Array.from({ length: random.int(1, 2) }, () => command(cluster, id, 'start')));
    for (const answer of starts) expectStatus(answer, 200, 409);
    return [id];
  },
} satisfies Record<string, Make>;

export type CreationName = keyof typeof CREATIONS;
/** How often jobs are made so, compared with each other. */
export type Creations = Readonly<Partial<Record<CreationName, number>>>;

export const USUAL_CREATIONS: Creations = { one: 4, several: 1 };
export const ALL_CREATIONS: Creations = { one: 8, several: 3, grid: 1, delayed: 2, urgent: 2, draft: 2 };

/** Ids of what was made, in one of the ways. */
export const create = (
  cluster: Pick<Cluster, 'recorder'>,
  job: Partial<CreateJob>,
  creations: Creations,
  random: Random,
): Promise<readonly string[]> => CREATIONS[random.weighted(creations)](cluster, job, random);

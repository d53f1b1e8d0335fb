/** What clients and operators may ask of a job at any time; most of it comes at a bad one. */
import type { CommandAnswer } from '../../../src/api/contract.js';
import type { Random } from '../../simulation/random.js';
import type { Answer } from './recorder.js';
import type { Cluster } from './running-cluster.js';
import { type ClientCall, command, expectStatus, operate, type OperatorCall } from './work.js';

type Asked = readonly [by: 'client', name: ClientCall, body: object] | readonly [by: 'operator', name: OperatorCall];

export const BY_CLIENTS: readonly Asked[] = [
  ['client', 'cancel', {}],
  ['client', 'cancel', { force: true }],
  ['client', 'retry', {}],
  ['client', 'retry', { payload: { again: true } }],
  ['client', 'priority', { priority: 5 }],
  ['client', 'priority', { priority: -5 }],
  ['client', 'reschedule', { delayMs: 100 }],
  ['client', 'resume', {}],
];

export const BY_ANYBODY: readonly Asked[] = [
  ...BY_CLIENTS,
  ['client', 'start', {}],
  ['client', 'hold', {}],
  ['client', 'retry', { reason: 'once more' }],
  ['operator', 'force-fail'],
  ['operator', 'cancel'],
  ['operator', 'requeue'],
  ['operator', 'emergency-stop'],
];

/** One of them, of this job. */
export const meddle = async (
  cluster: Pick<Cluster, 'recorder'>,
  jobId: string,
  choices: readonly Asked[],
  random: Random,
): Promise<Answer<CommandAnswer>> => {
  const asked = random.pick(choices);
  const answer =
    asked[0] === 'client' ? await command(cluster, jobId, asked[1], asked[2]) : await operate(cluster, jobId, asked[1]);
  expectStatus(answer, 200, 409);
  return answer;
};

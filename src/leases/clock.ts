/** Time for decisions, epoch ms: the database's, so that no worker's or node's clock moves a job. */
export interface Clock {
  now(): number;
}

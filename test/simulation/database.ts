/**
 * The database of a simulation: the log in memory, and twins of the tables that stand beside it. An append and its
 * rows are one step, as one transaction is; so is each statement. Refusals have the names that the SQL gives them.
 */
import type { EventStore } from '../../src/event-store/event-store.js';
import { MemoryEventStore, type BesideApplier } from '../../src/event-store/memory/memory-event-store.js';
import { AnswersTable } from './answers-table.js';
import { JobsTable } from './jobs-table.js';
import { LeasesTable } from './leases-table.js';
import { ReservationsTable } from './reservations-table.js';

export class Database {
  readonly store: EventStore;
  readonly jobs: JobsTable;
  readonly leases: LeasesTable;
  readonly answers: AnswersTable;
  readonly reservations: ReservationsTable;

  /** @param now the database's time, epoch ms */
  constructor(now: () => number) {
    this.answers = new AnswersTable(now);
    this.jobs = new JobsTable((jobId) => this.leases.rows.has(jobId));
    this.leases = new LeasesTable(now, this.jobs.rows);
    this.reservations = new ReservationsTable(now, this.jobs);
    const beside = new Map<string, BesideApplier>([
      ...this.answers.appliers,
      ...this.jobs.appliers,
      ...this.leases.appliers,
    ]);
    this.store = new MemoryEventStore({ clock: now, beside });
    this.jobs.store = this.store;
  }
}

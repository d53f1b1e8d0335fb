/** What a process looks at again and again by itself, and tells of: what it depends on, its database's clock, its log. */
import { ClockLag, type ClockLog } from './leases/clock-lag.js';
import type { DatabaseClock } from './leases/database-clock.js';
import type { EventStore } from './event-store/event-store.js';
import { DATABASE, LOG, Outage, type OutageLog } from './outage.js';
import type { LogWitness } from './projections/log-witness.js';
import { Repeated } from './repeated.js';
import type { ServiceOptions } from './service.js';

const LOOK_MS = 1_000;

const NO_OUTAGE_LOG: OutageLog = { began: () => undefined, ended: () => undefined };
const NO_CLOCK_LOG: ClockLog = { fellBehind: () => undefined, caughtUp: () => undefined };

/** From now on. Of what is away meanwhile others tell. @returns how to stop */
const repeat = (look: () => Promise<unknown>): (() => void) => {
  const looks = new Repeated(look, LOOK_MS, () => undefined);
  looks.start();
  return () => void looks.stop();
};

/** Of the database, and of the log where it is elsewhere; they are looked for from now on. */
export const watchOutages = (
  { outageLog = NO_OUTAGE_LOG, eventStoreDbUrl }: ServiceOptions,
  clock: DatabaseClock,
  store: EventStore,
): readonly Outage[] => {
  const database = new Outage(DATABASE, () => clock.sample(), outageLog);
  const outages =
    eventStoreDbUrl === undefined ? [database] : [database, new Outage(LOG, () => store.head(), outageLog)];
  for (const outage of outages) outage.start();
  return outages;
};

export const watchClock = ({ clockLog = NO_CLOCK_LOG }: ServiceOptions, clock: DatabaseClock, store: EventStore) => {
  const lag = new ClockLag(() => store.head(), clock, clockLog);
  return { lag, stop: repeat(() => lag.look()) };
};

/** Whether the log still has what was seen in it. */
export const watchLog = (witness: LogWitness): { readonly stop: () => void } => {
  witness.start();
  const stop = repeat(() => witness.look());
  return {
    stop: () => {
      stop();
      witness.stop();
    },
  };
};

import '../support/eventstoredb/run-over-second-log.js';
import '../e2e/zombies.spec.js';

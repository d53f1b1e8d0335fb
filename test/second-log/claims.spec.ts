import '../support/eventstoredb/run-over-second-log.js';
import '../e2e/claims.spec.js';

/**
 * The judge of every end-to-end test: holds what clients were told against what the ledger says happened. It knows the
 * rules of the contract, not what a test did, so each test is judged by all of them.
 */
import * as answers from './answer-checks.js';
import { type History, IndexedHistory, type Violation } from './history.js';
import * as log from './log-checks.js';
import * as reads from './read-checks.js';

const CHECKS: readonly ((history: IndexedHistory) => readonly Violation[])[] = [
  log.checkOrder,
  log.checkTransitions,
  log.checkTerminals,
  log.checkLeases,
  log.checkFacts,
  answers.checkAnswers,
  answers.checkGrants,
  answers.checkOnce,
  answers.checkSameAnswers,
  answers.checkRefusalsMovedNothing,
  answers.checkConflicts,
  answers.checkPromises,
  answers.checkProgress,
  answers.checkRefusalsAreRecorded,
  answers.checkFaults,
  answers.checkRetryAfter,
  reads.checkSights,
  reads.checkFreshness,
  reads.checkStamps,
  reads.checkRealTime,
  reads.checkRest,
  reads.checkCounters,
];

/** Every rule that the history breaks; empty when it breaks none. */
export const checkHistory = (history: History): readonly Violation[] => {
  const indexed = new IndexedHistory(history);
  return CHECKS.flatMap((check) => check(indexed));
};

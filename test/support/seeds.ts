/**
 * Where chance starts. A run of CI decides over a change, so there it is the same each time; everywhere else each run
 * looks somewhere new. fast-check prints the seed of what fails, and so does the simulation.
 */
import fc from 'fast-check';

export const FIXED_SEED = 20_261_124;

if (process.env['CI'] !== undefined) fc.configureGlobal({ seed: FIXED_SEED });

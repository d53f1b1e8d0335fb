/** What the exit code of a command means: part of its contract, shown by `--help`. */
export const EXIT = {
  OK: 0,
  REFUSED: 1,
  USAGE: 2,
  UNREACHABLE: 3,
  DIFFERENT: 4,
  INTERRUPTED: 130,
} as const;

export const EXIT_MEANINGS: readonly (readonly [number, string])[] = [
  [EXIT.OK, 'done'],
  [EXIT.REFUSED, 'refused, or failed'],
  [EXIT.USAGE, 'the command line or a setting is wrong'],
  [EXIT.UNREACHABLE, 'no service answers, or it is unavailable'],
  [EXIT.DIFFERENT, 'a verification or comparison found differences, or a stream cannot be read'],
  [EXIT.INTERRUPTED, 'interrupted'],
];

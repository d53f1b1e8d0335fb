/** Why a command is ended when what it prints goes nowhere. */

/** Whoever read the output has gone, as `| head` does: no failure, and nobody to tell. */
export class BrokenPipe extends Error {
  constructor() {
    super('nobody reads the output');
  }
}

/** The output cannot be written, as on a device that is full; it was said already. */
export class OutputFailed extends Error {}

/** Why a command is ended when whoever read its output has gone, as `| head` does: no failure, and nobody to tell. */
export class BrokenPipe extends Error {
  constructor() {
    super('nobody reads the output');
  }
}

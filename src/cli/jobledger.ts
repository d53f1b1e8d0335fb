/** `jobledger`: the program that people and scripts call. Finds the command, runs it, and says how it went. */
import { randomUUID } from 'node:crypto';
import { type JobledgerClient, OutcomeUnknownError, ProblemError, ValidationError } from '../client/client.js';
import { reasonOf } from '../client/reason.js';
import { ConfigError } from '../config.js';
import { UnusableDataFolder } from '../event-store/postgres/embedded/embedded-postgres-error.js';
import { readVersion } from '../version.js';
import { isAway } from './away.js';
import type { Command } from './command.js';
import { findCommand, isHelpOption, KEY_OPTION, readValues } from './command-line.js';
import { config } from './commands/config.js';
import { db } from './commands/db.js';
import { demo } from './commands/demo.js';
import { jobMoves } from './commands/job-moves.js';
import { jobsCreate } from './commands/jobs-create.js';
import { jobsHistory } from './commands/jobs-history.js';
import { deadLetters, jobsList } from './commands/jobs-list.js';
import { jobsLogs } from './commands/jobs-logs.js';
import { jobsShow } from './commands/jobs-show.js';
import { keys } from './commands/keys.js';
import { counters } from './commands/numbers.js';
import { queues } from './commands/queues.js';
import { reaperStatus, reaperSweep } from './commands/reaper.js';
import { start } from './commands/start.js';
import { eventsTail, jobsTail } from './commands/tails.js';
import { rebuild, verify } from './commands/upkeep.js';
import { connect, readConnection } from './connection.js';
import { NoServiceError } from './demo/ledger-service.js';
import { EXIT } from './exit-codes.js';
import { commandHelp, groupHelp } from './help.js';
import { BrokenPipe, OutputFailed } from './output-lost.js';
import { openTerminal, type Terminal } from './terminal.js';
import { UsageError } from './usage-error.js';

const COMMANDS: readonly Command[] = [
  ...[start, db],
  ...[jobsCreate, jobsList, jobsShow, jobsHistory, jobsLogs, jobsTail, ...jobMoves],
  ...[eventsTail, queues, counters, deadLetters],
  ...[reaperStatus, reaperSweep, rebuild, verify, config, ...keys, demo],
];

/** Ctrl-C and SIGTERM: once somebody listens, they no longer end the process by themselves. */
class Interrupt {
  readonly #controller = new AbortController();
  #isListening = false;

  /** For whoever ends with a command, and is no reason to listen. */
  get raised(): AbortSignal {
    return this.#controller.signal;
  }

  get signal(): AbortSignal {
    if (!this.#isListening) {
      this.#isListening = true;
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
        process.on(name, () => this.abort(new Error(`interrupted by ${name}`)));
      }
    }
    return this.#controller.signal;
  }

  get isListening(): boolean {
    return this.#isListening;
  }

  abort(reason: Error): void {
    this.#controller.abort(reason);
  }
}

const interrupt = new Interrupt();

/** What is printed goes nowhere: what is under way is ended in order. */
const onOutputLost = (error: NodeJS.ErrnoException): void => {
  if (error.code === 'EPIPE') {
    if (!interrupt.isListening) process.exit(EXIT.OK);
    interrupt.abort(new BrokenPipe());
    return;
  }
  const failure = new OutputFailed(`the output cannot be written: ${error.message}`, { cause: error });
  terminal.note(`jobledger: ${failure.message}`);
  if (!interrupt.isListening) process.exit(EXIT.REFUSED);
  interrupt.abort(failure);
};

/** npm runs from the folder of the package, and says where it was called. */
const userFolder = (env: NodeJS.ProcessEnv): string => {
  const isOfNpm = env['npm_lifecycle_event'] === 'demo';
  return (isOfNpm ? env['INIT_CWD'] : undefined) ?? process.cwd();
};

const codeOf = (error: unknown): number => {
  if (interrupt.raised.aborted) return EXIT.INTERRUPTED;
  // What the service finds malformed was given on the command line.
  if (error instanceof UsageError || error instanceof ValidationError) return EXIT.USAGE;
  if (error instanceof ConfigError || error instanceof UnusableDataFolder) return EXIT.USAGE;
  return isAway(error) || error instanceof NoServiceError ? EXIT.UNREACHABLE : EXIT.REFUSED;
};

const isMistakeOfOurs = (error: unknown): boolean =>
  error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError;

const linesOf = (error: unknown): string[] => {
  if (error instanceof ValidationError) {
    const fields = (error.problem.errors ?? []).map(({ path, message }) =>
      // Some say the name of the field themselves.
      message.startsWith(path) ? message : `${path} ${message}`,
    );
    return fields.length > 0 ? fields : [error.detail];
  }
  if (error instanceof ProblemError) return [`${error.detail} (${error.code})`];
  // Its message names the key of one call; the option that is told takes that of the command.
  if (error instanceof OutcomeUnknownError)
    return [`whether it was done is not known: no answer (${reasonOf(error.cause)})`];
  if (!(error instanceof Error)) return [String(error)];
  return [(isMistakeOfOurs(error) ? error.stack : undefined) ?? error.message];
};

const runCommand = async (command: Command, args: readonly string[], terminal: Terminal): Promise<number> => {
  const name = ['jobledger', ...command.words].join(' ');
  let idempotencyKey: string = randomUUID();
  try {
    const values = readValues(command, args);
    if (values.flag('help')) {
      await terminal.line(commandHelp(command));
      return EXIT.OK;
    }
    const { env } = process;
    const connection = readConnection(values, env);
    if (command.isKeyed) idempotencyKey = values.text(KEY_OPTION) ?? idempotencyKey;
    let ledger: JobledgerClient | undefined;
    return await command.run({
      ...{ values, terminal, env, cwd: userFolder(env), connection, idempotencyKey },
      get ledger() {
        return (ledger ??= connect(connection));
      },
      get signal() {
        return interrupt.signal;
      },
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException | null)?.code === 'EPIPE') return EXIT.OK;
    if (error instanceof BrokenPipe || error instanceof OutputFailed) return EXIT.INTERRUPTED;
    terminal.status(null);
    for (const line of linesOf(error)) terminal.note(`${name}: ${line}`);
    if (error instanceof UsageError) terminal.note(`${name} --help says what it takes`);
    const code = codeOf(error);
    if (command.isKeyed && code === EXIT.UNREACHABLE) {
      terminal.note(`repeat the same command with --${KEY_OPTION} ${idempotencyKey}: nothing is done twice`);
    }
    return code;
  }
};

const run = async (given: readonly string[], terminal: Terminal): Promise<number> => {
  const args = given[0] === 'help' ? [...given.slice(1), '--help'] : given;
  if (args[0] === '--version') {
    await terminal.line(readVersion());
    return EXIT.OK;
  }
  try {
    const found = findCommand(COMMANDS, args);
    if (found.kind === 'command') return await runCommand(found.command, found.rest, terminal);
    const help = groupHelp(found.words, found.commands);
    if (args.some(isHelpOption)) {
      await terminal.line(help);
      return EXIT.OK;
    }
    terminal.note(help);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    terminal.note(`jobledger: ${error.message}`);
    terminal.note('jobledger --help names the commands');
  }
  return EXIT.USAGE;
};

const { stdout, stderr } = process;
const terminal = openTerminal(stdout, stderr, process.env, onOutputLost, interrupt.raised);
const code = await run(process.argv.slice(2), terminal);
process.exitCode = interrupt.raised.reason instanceof OutputFailed ? EXIT.REFUSED : code;
// Whoever interrupts does not wait for a reader that has stopped to read.
if (interrupt.raised.aborted && stdout.writableLength + stderr.writableLength > 0) process.exit();

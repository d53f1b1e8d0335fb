/** One worker of a catalogue, in a process of its own. */
import { catalogueHandler } from './catalogue-handler.js';
import { type CatalogueSetup, readSetup } from './messages.js';
import { Gate, runWorkerProcess } from './worker-process.js';

const setup = readSetup(process.env) as CatalogueSetup;
const gate = new Gate(setup.waitsInMidWork);

const handler = catalogueHandler(async (at) => {
  if (!gate.isClosed) return;
  process.send?.(at);
  await gate.passed();
});
runWorkerProcess(setup, 1, gate, handler);

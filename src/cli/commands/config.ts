/** `jobledger config`: the settings in force, and where each came from. */
import type { ConfigView } from '../../client/client.js';
import { describeConfig, loadConfig } from '../../config.js';
import { command } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { type Column, renderTable } from '../table.js';
import { printJson, printLines } from './pages.js';

type Setting = ConfigView['settings'][number];

const COLUMNS: readonly Column<Setting>[] = [
  { title: 'SETTING', value: ({ name }) => name },
  { title: 'VALUE', value: ({ value }) => (value === null ? '' : String(value)), least: 12 },
  {
    title: 'FROM',
    value: ({ source }) => source,
    style: ({ source }) => (source === 'default' ? 'dim' : 'bold'),
    dispensable: 1,
  },
];

export const config = command({
  words: ['config'],
  summary: 'settings in force, and where each came from; secrets are redacted',
  about:
    'With --local no service is asked: the settings that `jobledger start` would have here. A wrong one is named, with\nexit code 2.',
  options: {
    local: { help: 'from the environment and jobledger.yaml here' },
    json: { help: 'the settings as the service has them' },
  },
  asksService: true,
  examples: ['jobledger config', 'JOBLEDGER_PORT=8081 jobledger config --local'],
  run: async ({ values, terminal, ledger, env, cwd }) => {
    const found = values.flag('local') ? (describeConfig(loadConfig(env, cwd)) as ConfigView) : await ledger.config();
    if (values.flag('json')) await printJson(terminal, found);
    else await printLines(terminal, renderTable(COLUMNS, found.settings, terminal));
    return EXIT.OK;
  },
});

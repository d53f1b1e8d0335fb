/** `jobledger keys create`, `list` and `revoke`: the file of API keys, which services look at before each request. */
import { resolve } from 'node:path';
import { createKey, listKeys, revokeKey } from '../../api/keys/edit-keys.js';
import { keyId } from '../../api/keys/key-file.js';
import { ROLES, type Role } from '../../api/keys/roles.js';
import { loadConfig } from '../../config.js';
import { nearName } from '../../config/near-name.js';
import { type Call, type Command, command, type Option } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { renderTable } from '../table.js';
import { UsageError } from '../usage-error.js';
import { printJson, printLines } from './pages.js';

const FILE_OPTION = {
  file: { value: 'FILE', help: 'the file of keys (JOBLEDGER_API_KEYS, or api_keys in jobledger.yaml)' },
} as const satisfies Record<string, Option>;

const fileOf = ({ values, env, cwd }: Pick<Call<'file'>, 'values' | 'env' | 'cwd'>): string => {
  const given = values.text('file');
  const path = given === undefined ? loadConfig(env, cwd).apiKeys : resolve(cwd, given);
  if (path === null) throw new UsageError('which file of keys? Give --file, or set JOBLEDGER_API_KEYS');
  return path;
};

const isRole = (text: string): text is Role => (ROLES as readonly string[]).includes(text);

const rolesOf = (texts: readonly string[]): readonly Role[] => {
  if (texts.length === 0) throw new UsageError(`what may the key do? Give --role: ${ROLES.join(', ')}`);
  return texts.map((text) => {
    if (isRole(text)) return text;
    const near = nearName(text, ROLES);
    throw new UsageError(
      `--role: expected one of ${ROLES.join(', ')}, not "${text}"${near === undefined ? '' : `; did you mean ${near}?`}`,
    );
  });
};

const idOf = ({ positionals: [id = ''] }: Call['values']): string => {
  const [issue] = keyId.safeParse(id).error?.issues ?? [];
  if (issue !== undefined) throw new UsageError(`ID ${issue.message}, not "${id}"`);
  return id;
};

const create = command({
  words: ['keys', 'create'],
  summary: 'make an API key',
  about:
    'The key is printed once, alone on standard output, and kept nowhere: the file has its hash. Services that read the\nfile take the key from their next request on.',
  positionals: { usage: 'ID', min: 1, max: 1 },
  options: {
    role: { value: 'ROLE', repeatable: true, help: ROLES.join(', ') },
    ...FILE_OPTION,
    json: { help: 'the key with its id and roles' },
  },
  asksService: false,
  examples: ['KEY=$(jobledger keys create shop --role dispatcher --role worker --file keys.yaml)'],
  run: async (call) => {
    const { values, terminal } = call;
    const path = fileOf(call);
    const made = createKey(path, { id: idOf(values), roles: rolesOf(values.texts('role') ?? []) });
    if (values.flag('json')) await printJson(terminal, made);
    else await terminal.line(made.secret);
    terminal.note(`the key of ${made.id} (${made.roles.join(', ')}) is shown only now; its hash is in ${path}`);
    return EXIT.OK;
  },
});

const list = command({
  words: ['keys', 'list'],
  summary: 'whose keys there are, and what each may do',
  options: { ...FILE_OPTION, json: { help: 'a JSON array' } },
  asksService: false,
  examples: ['jobledger keys list --file keys.yaml'],
  run: async (call) => {
    const { values, terminal } = call;
    const keys = listKeys(fileOf(call));
    if (values.flag('json')) await printJson(terminal, keys);
    else {
      const columns = [
        { title: 'ID', value: ({ id }: (typeof keys)[number]) => id },
        { title: 'ROLES', value: ({ roles }: (typeof keys)[number]) => roles.join(', '), least: 8 },
      ];
      await printLines(terminal, renderTable(columns, keys, terminal));
    }
    return EXIT.OK;
  },
});

const revoke = command({
  words: ['keys', 'revoke'],
  summary: 'take an API key away',
  about: 'Services that read the file refuse the key from their next request on.',
  positionals: { usage: 'ID', min: 1, max: 1 },
  options: FILE_OPTION,
  asksService: false,
  examples: ['jobledger keys revoke shop --file keys.yaml'],
  run: (call) => {
    const [id = ''] = call.values.positionals;
    const left = revokeKey(fileOf(call), id);
    const rest = left === 0 ? 'no key is left: nobody gets in, and no service starts' : `keys left: ${left}`;
    call.terminal.note(`the key of ${id} is revoked; ${rest}`);
    return Promise.resolve(EXIT.OK);
  },
});

export const keys: readonly Command[] = [create, list, revoke];

/** The build that the processes run: the one of `npm start`, brought up to date in the same way. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const project = new URL('../../../', import.meta.url);
const prepare = new URL('scripts/prepare.mjs', project).href;
const given = process.env['E2E_MAIN'];

/** What a process runs. `E2E_MAIN` names another build, which is taken as it is. */
export const mainFile = given ?? fileURLToPath(new URL('dist/main.js', project));

/** Builds when `dist` is not of these sources. Test files that start together build once. */
export const buildService = async (): Promise<void> => {
  if (given !== undefined) return;
  const program = `import { build } from '${prepare}'; await build(${JSON.stringify(fileURLToPath(project))});`;
  await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
};

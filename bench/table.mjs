/** The results of every bench as one table, with the machine and the command that made it. */
import { cpus, totalmem, type } from 'node:os';
import { sidesOf } from './report.mjs';

const GIB = 1024 ** 3;

export const machine = () =>
  `${cpus().length} cores of ${cpus()[0]?.model.trim() ?? 'an unknown CPU'}, ${Math.round(totalmem() / GIB)} GiB, ${type()}`;

const goalOf = (side, { limit }) => {
  if (side.goal !== null) return `≥ ×${side.goal}`;
  return side.ratio === null && limit !== undefined ? limit : '';
};

const cells = (...texts) => `| ${texts.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;

/** One line a side that ours is held against; of a measure that stands alone, one line. */
const linesOf = (row) => {
  const [own, ...others] = sidesOf(row);
  const what = `${row.label}, ${row.unit}`;
  if (others.length === 0) return [cells(what, own.measured, '', '', '', goalOf(own, row))];
  return others.map((other, index) =>
    cells(
      ...(index === 0 ? [what, own.measured] : ['', '']),
      ...[
        other.name,
        other.measured,
        other.ratios ?? '',
        goalOf(other, row) || (index === 0 ? goalOf({ ...own }, row) : ''),
      ],
    ),
  );
};

const section = ({ title, conditions, rows, notes, loadAfterwards }) => [
  `### ${title}`,
  '',
  cells('what', 'ours', 'beside', 'theirs', 'ratio', 'goal'),
  '| --- | --: | --- | --: | --: | --- |',
  ...rows.flatMap(linesOf),
  '',
  ...[...conditions, `load afterwards ${loadAfterwards ?? 'unknown: it did not end'}`].map((line) => `- ${line}`),
  ...notes.map((note) => `- ${note}`),
  '',
];

export const tableOf = ({ command, at, results }) =>
  [
    `Made by \`${command}\` on ${at.slice(0, 10)}: ${machine()}. Median and range over the rounds. A ratio above ×1 says that`,
    'ours is better: more a second, or less time. The sides of a row were measured in turn in one run on one machine.',
    '',
    '![How many times as fast as the baselines](performance.svg)',
    '',
    ...results.flatMap(section),
  ].join('\n');

/** Of the README: the rows that have a goal, and what was reached. */
export const summaryOf = ({ command, at, results }) => {
  const rows = results.flatMap((result) => result.rows.filter(({ goals }) => goals !== undefined));
  return [
    '![How many times as fast as the baselines](docs/performance.svg)',
    '',
    cells('what', 'ours', 'beside', 'theirs', 'ratio', 'goal'),
    '| --- | --: | --- | --: | --: | --- |',
    ...rows.flatMap(linesOf),
    '',
    `Made by \`${command}\` on ${at.slice(0, 10)}: ${machine()}. Median and range; a ratio above ×1 says that ours is better.`,
  ].join('\n');
};

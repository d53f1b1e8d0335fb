/** What a bench found: printed as it comes, and kept where `--out` says, so that a later failure loses nothing. */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { flag, rounds, seconds } from './measure.mjs';

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
};

export const quantile = (values, share) =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];

const digits = (value) => (Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);
export const show = (value) => value.toFixed(digits(value)).replace(/\B(?=(\d{3})+(?!\d))/g, ',');

const load = () => loadavg()[0].toFixed(1);

/** Ratios round by round. Above 1 ours is better: faster, or done in less time. */
const ratiosOf = (row, peer) => {
  const own = Object.values(row.values)[0];
  return own.map((value, round) =>
    row.better === 'higher' ? value / row.values[peer][round] : row.values[peer][round] / value,
  );
};

const spread = (values, text) =>
  values.length === 1
    ? text(values[0])
    : `${text(median(values))} (${text(Math.min(...values))}–${text(Math.max(...values))})`;

/** Every side of a row with its median and range, and how many times better ours is. */
export const sidesOf = (row) =>
  Object.entries(row.values).map(([name, values], index) => {
    const ratios = index === 0 ? null : ratiosOf(row, name);
    return {
      name,
      measured: spread(values, show),
      ratio: ratios === null ? null : median(ratios),
      ratios: ratios === null ? null : spread(ratios, (ratio) => `×${ratio.toFixed(2)}`),
      goal: row.goals?.[name] ?? null,
    };
  });

export class Report {
  #result;

  /** @param settings lines on how the sides are set up */
  constructor(title, settings = []) {
    const conditions = [
      `Node ${process.versions.node}, ${cpus().length} cores, load ${load()}`,
      `${rounds} rounds after one that does not count, ${seconds} s a side where a rate is measured`,
      'fsync and synchronous_commit on',
      ...settings,
    ];
    this.#result = { title, conditions, rows: [], notes: [] };
    console.log(`\n${title}`);
    for (const line of conditions) console.log(`  ${line}`);
    this.#save();
  }

  /**
   * @param row `label`, `unit`, `better` (`higher` or `lower`), `values` by side, ours first; `goals`: how many times
   *   better than a side ours should be; `limit`: what ours should keep to by itself, in words
   */
  row(row) {
    this.#result.rows.push(row);
    console.log(`\n${row.label} (${row.unit})${row.limit === undefined ? '' : `; goal ${row.limit}`}`);
    for (const { name, measured, ratios, goal } of sidesOf(row)) {
      const ratio = ratios === null ? '' : `   ${ratios}${goal === null ? '' : `, goal ×${goal}`}`;
      console.log(`  ${name.padEnd(26)} ${measured.padStart(28)}${ratio}`);
    }
    this.#save();
  }

  /** Something that the reader of the table should know. */
  note(text) {
    this.#result.notes.push(text);
    console.log(`\n${text}`);
    this.#save();
  }

  /** Something could not be measured: the bench fails when it has measured the rest. */
  missing(text) {
    this.note(text);
    process.exitCode = 1;
  }

  end() {
    this.#result.loadAfterwards = load();
    console.log(`\nload afterwards ${load()}`);
    this.#save();
  }

  #save() {
    const file = flag('out');
    if (file !== undefined) writeFileSync(file, JSON.stringify(this.#result, null, 2));
  }
}

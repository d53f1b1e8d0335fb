/** Ratios as bars, on a logarithmic scale, as SVG: it follows the light or dark scheme of who looks at it. */
import { sidesOf } from './report.mjs';

const WIDTH = 900;
const LABEL = 430;
const RIGHT = 74;
const BAR = 16;
const STEP = 26;
const HEAD = 64;
const FOOT = 40;
const [LEAST, MOST] = [0.1, 20];
const TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20];

const STYLE = `
  text { font: 13px ui-sans-serif, system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2933; }
  .title { font-size: 16px; font-weight: 600; }
  .quiet { fill: #5f6c7b; font-size: 12px; }
  .grid { stroke: #d9dee5; } .even { stroke: #5f6c7b; stroke-width: 1.5; }
  .met { fill: #2b8a63; } .short { fill: #c98a1b; } .free { fill: #5b7fb5; }
  .goal { stroke: #1f2933; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6e9ee; } .quiet { fill: #9aa7b5; }
    .grid { stroke: #333c47; } .even { stroke: #9aa7b5; }
    .met { fill: #45b98a; } .short { fill: #e0a83c; } .free { fill: #7d9fd3; }
    .goal { stroke: #e6e9ee; }
  }`;

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const x = (ratio) => {
  const share = Math.log(Math.min(Math.max(ratio, LEAST), MOST) / LEAST) / Math.log(MOST / LEAST);
  return LABEL + share * (WIDTH - LABEL - RIGHT);
};

const place = (value) => value.toFixed(1);

/** Those that have a goal: the others say how things are, not how good. */
const barsOf = (results) =>
  results.flatMap(({ rows }) =>
    rows.flatMap((row) =>
      sidesOf(row)
        .filter(({ ratio, goal }) => ratio !== null && goal !== null)
        .map(({ name, ratio, goal }) => ({ label: row.label, name, ratio, goal })),
    ),
  );

const bar = ({ label, name, ratio, goal }, index) => {
  const top = HEAD + index * STEP;
  const middle = top + BAR / 2 + 4.5;
  const shade = ratio >= goal ? 'met' : 'short';
  return [
    `<text x="${LABEL - 10}" y="${middle}" text-anchor="end">${escape(label)} <tspan class="quiet">beside ${escape(name)}</tspan></text>`,
    `<rect class="${shade}" x="${LABEL}" y="${top}" width="${place(Math.max(1, x(ratio) - LABEL))}" height="${BAR}" rx="2"/>`,
    `<line class="goal" x1="${place(x(goal))}" x2="${place(x(goal))}" y1="${top - 3}" y2="${top + BAR + 3}"/>`,
    `<text x="${WIDTH - RIGHT + 20}" y="${middle}">×${ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(2)}</text>`,
  ].join('\n');
};

export const chartOf = (results) => {
  const bars = barsOf(results);
  const bottom = HEAD + bars.length * STEP;
  const height = bottom + FOOT;
  const grid = TICKS.map(
    (tick) =>
      `<line class="${tick === 1 ? 'even' : 'grid'}" x1="${place(x(tick))}" x2="${place(x(tick))}" y1="${HEAD - 8}" y2="${bottom}"/>
<text class="quiet" x="${place(x(tick))}" y="${bottom + 18}" text-anchor="middle">×${tick}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="How many times as fast as the baselines">
<style>${STYLE}
</style>
<text class="title" x="16" y="26">How many times as fast as what it is measured beside</text>
<text class="quiet" x="16" y="45">Medians of one run; the mark is the goal. To the right is faster; the scale is logarithmic.</text>
${[...grid, ...bars.map(bar)].join('\n')}
</svg>
`;
};

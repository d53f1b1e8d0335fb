/**
 * The job's states as a mermaid diagram, drawn from the chart: transitions between the same two states share an arrow,
 * those that stay in their state are left out, and what leads out of every unfinished state is said once, and drawn only
 * where nothing else leads out.
 */
import { toDirectedGraph } from 'xstate/graph';
import { isTerminal, JOB_STATUSES, jobMachine, metaOf, type JobStatus } from '../../src/domain/job-chart.js';

interface Arrow {
  readonly from: JobStatus;
  readonly to: JobStatus;
  /** Event type, with the reasons where only some of them make this move. */
  readonly label: string;
}

const arrows = (): readonly Arrow[] =>
  toDirectedGraph(jobMachine)
    .children.flatMap((node) => node.edges)
    .filter(({ source, target }) => source !== target)
    .map(({ source, target, label, transition }) => {
      const guard = transition.guard as { readonly params?: { readonly reasons?: readonly string[] } } | undefined;
      const reasons = guard?.params?.reasons;
      return {
        from: source.key as JobStatus,
        to: target.key as JobStatus,
        label: reasons === undefined ? label.text : `${label.text} (${reasons.join(', ')})`,
      };
    });

/** Whether the same event leads from every unfinished state to the same other. */
const isEverywhere = (all: readonly Arrow[], { to, label }: Arrow): boolean =>
  JOB_STATUSES.every(
    (from) => isTerminal(from) || all.some((arrow) => arrow.from === from && arrow.to === to && arrow.label === label),
  );

const note = (status: JobStatus, everywhere: readonly Arrow[]): readonly string[] => {
  const { movedBy, bounds } = metaOf(status);
  const here = everywhere.filter(({ to }) => to === status).map(({ label }) => label);
  return [
    `  note right of ${status}`,
    ...(here.length === 0 ? [] : [`    from every unfinished state by ${[...new Set(here)].join(', ')}`]),
    `    moved by ${movedBy}`,
    ...(bounds.length === 0 ? [] : [`    bounded by ${bounds.join(', ')}`]),
    '  end note',
  ];
};

/** The text of a `stateDiagram-v2`, without its fence. */
export const stateDiagram = (): string => {
  const all = arrows();
  const everywhere = all.filter((arrow) => isEverywhere(all, arrow));
  const hasOtherWay = new Set(all.filter((arrow) => !everywhere.includes(arrow)).map(({ from }) => from));
  const drawn = all.filter((arrow) => !everywhere.includes(arrow) || !hasOtherWay.has(arrow.from));
  const ends = [...new Set(drawn.map(({ from, to }) => `${from} --> ${to}`))];
  const labels = (between: string): string =>
    drawn.flatMap(({ from, to, label }) => (`${from} --> ${to}` === between ? [label] : [])).join('<br/>');
  return [
    'stateDiagram-v2',
    `  [*] --> ${JOB_STATUSES[0] ?? ''} : JobCreated`,
    // A colon or a semicolon would end a label.
    ...ends.map((between) => `  ${between} : ${labels(between)}`),
    ...JOB_STATUSES.filter(isTerminal).map((status) => `  ${status} --> [*]`),
    ...JOB_STATUSES.flatMap((status) => note(status, everywhere)),
  ].join('\n');
};

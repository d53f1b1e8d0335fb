/** Runs of upkeep from a bench: to their end, as an operator asks for them. */
const LONGEST_MS = 600_000;

export const runUpkeep = async ({ service }, kind, subject) => {
  const { id } = await service.upkeep.ask(kind, subject, {}, 'bench');
  const run = await service.upkeep.waitFor(id, LONGEST_MS, new AbortController().signal);
  if (run?.state !== 'done') throw new Error(`the ${kind} of ${subject} ended as ${run?.state}: ${run?.error}`);
};

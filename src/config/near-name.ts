/** Levenshtein's distance: how many letters to add, drop or change. */
const distance = (from: string, to: string): number => {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const changed = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(changed, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[to.length]!;
};

/** How many edits still mean the same name: a third of it, two for a short one (letters swapped), never over a half. */
const tolerance = ({ length }: string): number => Math.min(Math.floor(length / 2), Math.max(2, Math.floor(length / 3)));

/** The known name that was probably meant, if any is near. */
export const nearName = (name: string, known: readonly string[]): string | undefined => {
  const [best] = known
    .map((candidate) => ({ candidate, edits: distance(name, candidate) }))
    .sort((a, b) => a.edits - b.edits);
  return best !== undefined && best.edits <= tolerance(best.candidate) ? best.candidate : undefined;
};

// @ts-check
// Features and residues as a person types them: "12-20, 33".

/**
 * @param {string} text @param {string} what "features" or "residues"
 * @returns {{ numbers: number[], problem: string }} ascending, each once; or what is wrong
 */
export function numbersOf(text, what) {
  const found = new Set();
  for (const part of text.split(/[,;\s]+/).filter(Boolean)) {
    const range = /^(\d+)(?:[-–](\d+))?$/.exec(part);
    const [first, last] = range ? [Number(range[1]), Number(range[2] ?? range[1])] : [1, 0];
    if (first > last || last - first > 10_000) {
      const problem = `${what} are numbers or ranges, such as 12-20, 33; ${part} is neither.`;
      return { numbers: [], problem: problem[0].toUpperCase() + problem.slice(1) };
    }
    for (let n = first; n <= last; n++) found.add(n);
  }
  return { numbers: [...found].sort((a, b) => a - b), problem: "" };
}

/** "12-20, 33": the shortest way. @param {number[]} numbers ascending */
export function written(numbers) {
  const parts = [];
  for (let i = 0; i < numbers.length; ) {
    let j = i;
    while (numbers[j + 1] === numbers[j] + 1) j++;
    parts.push(j > i ? `${numbers[i]}-${numbers[j]}` : `${numbers[i]}`);
    i = j + 1;
  }
  return parts.join(", ");
}

// @ts-check
// Text in lines that fit a width.

/** @typedef {(text: string) => number} Measure width of a text */

/** A text in lines that fit. @param {string} text @param {number} width @param {Measure} measure */
export function linesOf(text, width, measure) {
  return wrapped(text.split(" "), width - 12, measure(" "), measure).map((words) =>
    words.join(" "),
  );
}

/**
 * @param {string[]} parts
 * @param {number} room
 * @param {number} gap between them
 * @param {Measure} measure
 */
export function wrapped(parts, room, gap, measure) {
  /** @type {string[][]} */
  const rows = [[]];
  let used = 0;
  for (const part of parts) {
    const needed = measure(part);
    if (used && used + needed > room) {
      rows.push([]);
      used = 0;
    }
    rows[rows.length - 1].push(part);
    used += needed + gap;
  }
  return rows;
}

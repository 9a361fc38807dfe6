// @ts-check
// What the bins of the histogram say.

import { rangeWords } from "../kit/words.js";

/** @import { Kit } from "../kit/types.js" */

/** @typedef {{ total: number, annotated: number | null }} Zero the residues or proteins at 0 */

/** @param {ArrayLike<number>} counts */
export function sum(counts) {
  return Array.from(counts).reduce((a, b) => a + b, 0);
}

/**
 * Edges as Python made them; the bundle has the nearest float32 of each.
 * @param {number} top
 * @param {number} bins
 */
export function edgesOf(top, bins) {
  return Array.from({ length: bins + 1 }, (_, i) => (i < bins ? (i * top) / bins : top));
}

/**
 * The least and the most that lie within a brush, both ends included: the counts of bins wholly in
 * it, and of bins that it touches. A bin holds its lower edge, the last one both.
 * @param {number[]} edges @param {ArrayLike<number>} counts @param {number[]} brush
 */
export function within(edges, counts, [low, high]) {
  let [least, most] = [0, 0];
  for (let i = 0; i < counts.length; i++) {
    const last = i === counts.length - 1;
    if (edges[i] >= low && edges[i + 1] <= high) least += counts[i];
    if (edges[i] <= high && (edges[i + 1] > low || (last && edges[i + 1] === low)))
      most += counts[i];
  }
  return [least, most];
}

/**
 * A brush and what it holds.
 * @param {Kit} kit
 * @param {number[]} edges
 * @param {ArrayLike<number>} counts
 * @param {number[]} brush
 */
export function brushWords(kit, edges, counts, brush) {
  const [least, most] = within(edges, counts, brush);
  const held =
    least === most
      ? kit.count(least)
      : `between ${kit.count(least)} and ${kit.count(most)}, as it cuts bins,`;
  return `Brushed ${rangeWords(brush)}: ${held}`;
}

/**
 * For CSV. The first row is what is silent: its activation is exactly 0, and it is in no bin.
 * @param {number[]} edges
 * @param {{ total: ArrayLike<number>, annotated: ArrayLike<number> | null, zero: Zero }} counts
 * @returns {(string | number | null)[][]}
 */
export function rowsOf(edges, { total, annotated, zero }) {
  const bins = Array.from(total).map((n, i) => [
    edges[i],
    edges[i + 1],
    n,
    annotated ? annotated[i] : null,
  ]);
  return [["lower", "upper", "total", "annotated"], [0, 0, zero.total, zero.annotated], ...bins];
}

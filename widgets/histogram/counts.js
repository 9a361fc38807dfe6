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
 * @typedef {object} Counts of the residues, or the proteins, that are active
 * @property {ArrayLike<number>} total by bin
 * @property {ArrayLike<number> | null} annotated by bin, those that carry the concept; null: none
 * @property {Zero} zero
 */
/** @typedef {[number, number]} Bounds the least and the most that a true number may be */

/**
 * How many are in a brush, how many of them carry the concept, and which share that is of them and
 * of all others, silent ones included. A bin that the brush cuts may give any of its own to either
 * side, so each is a pair of bounds, equal where no bin is cut. A share of nothing is NaN.
 * @param {number[]} edges @param {Counts} counts @param {number[]} brush [] for all that are active
 * @returns {{ held: Bounds, carry: Bounds | null, share: Bounds, others: Bounds, rest: number[] }}
 *   rest: of all others, how many carry it and how many there are, where no bin is cut
 */
export function sharesIn(edges, { total, annotated, zero }, brush) {
  const range = brush.length ? brush : [0, Infinity];
  const held = /** @type {Bounds} */ (within(edges, total, range));
  if (!annotated) return { held, carry: null, share: [NaN, NaN], others: [NaN, NaN], rest: [] };
  const carry = /** @type {Bounds} */ (within(edges, annotated, range));
  const all = sum(total) + zero.total;
  const carrying = sum(annotated) + (zero.annotated ?? 0);
  const open = carry[1] - carry[0]; // carry it, and may be in the brush
  const plain = held[1] - held[0] - open; // do not, and may be
  return {
    held,
    carry,
    share: bounds([carry[0], held[0] + plain], [carry[1], held[0] + open]),
    others: bounds(
      [carrying - carry[1], all - held[0] - open],
      [carrying - carry[0], all - held[0] - plain],
    ),
    rest: [carrying - carry[0], all - held[0]],
  };
}

/**
 * The least and the greatest share, each as a part and a whole. Where one whole is empty, what may
 * be there is all of the other's kind.
 * @param {[number, number]} least @param {[number, number]} most @returns {Bounds}
 */
function bounds(least, most) {
  const [low, high] = [least[0] / least[1], most[0] / most[1]];
  return [Number.isNaN(low) ? high : low, Number.isNaN(high) ? low : high];
}

/**
 * A brush, what it holds, and which share of that carries the concept.
 * @param {Kit} kit
 * @param {number[]} edges
 * @param {Counts} counts
 * @param {{ brush: number[], what: string, concept: string }} said `what` is counted; concept "":
 *   the feature matches none
 */
export function brushWords(kit, edges, counts, { brush, what, concept }) {
  const { held, carry, share, others, rest } = sharesIn(edges, counts, brush);
  const exact = held[0] === held[1];
  const n = (/** @type {Bounds} */ [least, most]) =>
    least === most ? kit.count(least) : `between ${kit.count(least)} and ${kit.count(most)}`;
  const active = kit.count(sum(counts.total));
  const head = brush.length
    ? `Brushed ${rangeWords(brush)}${exact ? "" : ", which cuts bins"}: ${n(held)} of ${active}`
    : active;
  const first = `${head} ${what}.`;
  if (!concept) return `${first} The feature matches no concept.`;
  if (!carry) return `${first} These proteins have no annotations to compare with.`;
  if (held[1] === 0) return first;
  const percent = (/** @type {Bounds} */ [least, most]) => {
    const [low, high] = [kit.percent(least), kit.percent(most)];
    return low === high ? low : `${low} to ${high}`;
  };
  const these = `(${n(carry)}${exact ? ` of ${kit.count(held[0])}` : ""})`;
  const those = exact ? ` (${kit.count(rest[0])} of ${kit.count(rest[1])})` : "";
  const beside = Number.isNaN(others[0]) ? "" : `, and ${percent(others)} of the others${those}`;
  return `${first} ${percent(share)} of these ${these} carry ${concept}${beside}.`;
}

/**
 * For CSV. The first row is what is silent: its activation is exactly 0, and it is in no bin.
 * @param {number[]} edges
 * @param {Counts} counts
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

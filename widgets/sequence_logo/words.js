// @ts-check
// What a logo says of itself.

/** @import { Kit } from "../kit/types.js" */

/**
 * @typedef {object} Basis what a logo is made of
 * @property {number} n windows, or aligned rows
 * @property {number} shown proteins of the bundle that may have a window
 * @property {number} firing proteins of the whole store in which the feature fires
 * @property {boolean} brushed
 * @property {boolean} aligned a given alignment
 * @property {string} background
 */

const BACKGROUNDS = /** @type {Record<string, string>} */ ({
  swissprot: "Swiss-Prot",
  uniform: "uniform",
});

/**
 * The caption; `interplm_nb/widgets/sequence_logo.py` has the same.
 * @param {Kit} kit
 * @param {Basis} basis
 */
export function captionOf(kit, { n, shown, firing, brushed, aligned, background }) {
  const ground = `background: ${BACKGROUNDS[background]}; small-sample corrected`;
  if (aligned) return `n = ${kit.count(n)} aligned sequences; ${ground}`;
  const all = firing > shown ? ` (${kit.count(firing)} fire)` : "";
  const centre = `aligned on each protein's ${brushed ? "brushed " : ""}maximum`;
  const windows = `n = ${kit.count(n)} ${n === 1 ? "window" : "windows"}`;
  return `${windows}, one per protein, of ${kit.count(shown)} shown${all}; ${centre}; ${ground}`;
}

/** Why there is no logo; empty where there is one. @param {Basis} basis */
export function lacking({ n, brushed, aligned }) {
  if (n > 1) return "";
  const had = n ? "1" : "none";
  if (aligned) return `A logo needs 2 or more aligned sequences; there is ${had}`;
  if (brushed) return `A logo needs windows of 2 or more proteins; the brush leaves ${had}`;
  return `A logo needs windows of 2 or more proteins; the feature fires in ${had} of those shown`;
}

/**
 * A column in words: [its number and bits, n, its letters ...].
 * @param {Kit} kit
 * @param {import("./weights.js").Weights} weights
 * @param {number} column
 * @param {number[]} stack
 * @param {string} label @param {string} letters the alphabet
 */
export function columnWords(kit, { n, frequencies, information }, column, stack, label, letters) {
  const share = (/** @type {number} */ a) => frequencies[column * letters.length + a];
  const named = stack.slice(0, 4);
  const rest = stack.slice(4).reduce((sum, a) => sum + share(a), 0);
  const shares = named.map((a) => `${letters[a]} ${kit.percent(share(a))}`);
  if (rest > 0) shares.push(`others ${kit.percent(rest)}`);
  return [
    `${label}: ${kit.fixed(information[column])} bits`,
    `n = ${kit.count(n[column])}`,
    ...shares,
  ];
}

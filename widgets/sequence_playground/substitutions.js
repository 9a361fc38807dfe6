// @ts-check
// Substitutions.

/** As in "A12V". @param {{ before: string, position: number, after: string }} mutation */
export function written({ before, position, after }) {
  return `${before}${position}${after}`;
}

/** The position in "A12V". @param {string} mutation */
export function positionOf(mutation) {
  return Number(mutation.slice(1, -1));
}

/**
 * The substitutions after one more. It replaces one at the same residue; the reference's own letter
 * takes that one away.
 * @param {string[]} mutations such as "A12V" @param {string} reference the sequence
 * @param {number} position from 1 @param {string} letter
 * @returns {string[]}
 */
export function substituted(mutations, reference, position, letter) {
  const others = mutations.filter((mutation) => positionOf(mutation) !== position);
  const before = reference[position - 1];
  const all = before === letter ? others : [...others, `${before}${position}${letter}`];
  return all.sort((a, b) => positionOf(a) - positionOf(b));
}

// @ts-check
// Features whose maxima lie near the ends of proteins: a model may know the end, not a motif.

import { percent } from "./scales.js";

/** @import { Packed } from "./types.js" */

/**
 * Is a feature marked?
 * @param {Packed} table the packed feature list @param {any} about of the data
 * @param {number | undefined} row undefined: the list lacks the feature
 */
export function nearEnds({ arrays }, about, row) {
  return row !== undefined && arrays.share_near_ends?.[row] > about.marked_near_ends;
}

/**
 * What the mark says, compared with chance.
 * @param {Packed} table @param {any} about @param {number} row of a marked feature
 */
export function nearEndsWords({ arrays }, about, row) {
  const [share, chance] = [arrays.share_near_ends[row], arrays.near_ends_by_chance[row]];
  return (
    `${percent(share)} of its maxima lie within ${about.near_end} residues of an end ` +
    `of the protein (by chance ${percent(chance)})`
  );
}

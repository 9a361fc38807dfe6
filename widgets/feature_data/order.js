// @ts-check
// The order that a list of features has by itself.

/** @import { Common } from "./common.js" */
/** @import { Listed } from "./listing.js" */

/**
 * What orders the rows where no column was chosen: `FeatureTable.order` in Python.
 * @param {Listed} listed @param {Common | null} common
 * @returns {[string, boolean]} column, and whether from the highest
 */
export function orderOf(listed, common) {
  if (common) return ["p_count", false];
  return listed.search || listed.category
    ? ["validation_f1_per_domain", true]
    : ["rank", false];
}

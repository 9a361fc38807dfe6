// @ts-check
// The order that a list of features has by itself.

/** @import { Common } from "./common.js" */
/** @import { Listed } from "./listing.js" */

const OF_LOOKED = ["enrichment", "share_here"]; // with a background, and without

/**
 * What orders the rows where no column was chosen: `FeatureTable.order` in Python.
 * @param {Listed} listed @param {Common | null} common
 * @param {string[]} columns of the table: those of looked-at proteins come first
 * @returns {[string, boolean]} column, and whether from the highest
 */
export function orderOf(listed, common, columns) {
  if (common) return ["p_count", false];
  if (listed.search || listed.category) return ["validation_f1_per_domain", true];
  const by = OF_LOOKED.find((name) => columns.includes(name)) ?? "rank";
  return [by, by === "share_here"];
}

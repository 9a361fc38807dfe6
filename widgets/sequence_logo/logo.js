// @ts-check
// A logo of what is requested: its windows, weights, and how tall its axis must be.

import { alignmentCounts, centresOf, stackOf, weightsOf, windowCounts } from "./weights.js";

/** @import { Bundle } from "../kit/types.js" */

const STEPS = 10; // brushes of the upper end for which the axis has room

/**
 * @typedef {object} Asked
 * @property {string[]} alignment
 * @property {number} flank
 * @property {string} background
 * @property {number[]} brush
 * @property {string[]} accessions
 * @typedef {{ frequencies: number[], kinds: Int8Array }} Tables background and places of letters
 * @typedef {object} Logo
 * @property {import("./weights.js").Centre[]} centres of the windows, strongest protein first; none
 * of an alignment
 * @property {import("./weights.js").Weights} weights
 * @property {number[][]} stacks letters of each column, most frequent first
 * @property {import("./words.js").Basis} basis
 */

/**
 * @param {Bundle} bundle
 * @param {Asked} asked
 * @param {Tables} tables
 * @returns {Logo}
 */
export function logoOf(bundle, asked, tables) {
  const { alignment, brush, accessions, background } = asked;
  const aligned = alignment.length > 0;
  const centres = aligned ? [] : centresOf(bundle, brush, accessions);
  const counts = aligned
    ? alignmentCounts(alignment, tables.kinds)
    : windowCounts(bundle.proteins, centres, asked.flank, tables.kinds);
  const weights = weightsOf(counts, tables.frequencies);
  const here = new Set(accessions);
  const shown = here.size
    ? bundle.proteins.filter((p) => here.has(p.accession)).length
    : bundle.proteins.length;
  const basis = {
    n: aligned ? alignment.length : centres.length,
    shown,
    firing: here.size ? 0 : bundle.record.n_firing,
    brushed: brush.length > 0,
    aligned,
    background,
  };
  return {
    centres,
    weights,
    stacks: Array.from({ length: weights.columns }, (_, i) => stackOf(weights, i)),
    basis,
  };
}

/**
 * The axis for a feature: it has room for every brush of the upper end, so that it stays while one
 * is drawn.
 * @param {Bundle} bundle @param {Asked} asked @param {Tables} tables
 * @param {number | null} cut a column that need not fit
 */
export function topOf(bundle, asked, tables, cut) {
  let top = 0;
  for (let step = 0; step < STEPS && !asked.alignment.length; step++) {
    const centres = centresOf(bundle, [(step / STEPS) * bundle.top, bundle.top], asked.accessions);
    const counts = windowCounts(bundle.proteins, centres, asked.flank, tables.kinds);
    top = Math.max(top, axisFor(weightsOf(counts, tables.frequencies), cut));
  }
  return top;
}

/**
 * The end of the axis for these columns: whole bits, or less than one where the tallest column is
 * cut.
 * @param {import("./weights.js").Weights} weights @param {number | null} cut
 */
export function axisFor({ information }, cut) {
  const tallest = information.reduce(
    (most, bits, column) => (column === cut ? most : Math.max(most, bits)),
    0,
  );
  return (cut === null ? [1] : [0.25, 0.5, 1]).find((end) => tallest <= end) ?? Math.ceil(tallest);
}

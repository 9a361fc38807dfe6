// @ts-check
// What the panel says in sentences.

import { conceptName } from "../kit/concept_names.js";
import { nearEnds, nearEndsWords } from "../kit/near_ends.js";

/** @import { Kit, Packed } from "../kit/types.js" */

/**
 * One concept of the feature, as `interplm_nb/widgets/concept_rows.py` has it.
 * @typedef {object} Row
 * @property {string} concept
 * @property {string} category
 * @property {number} feature
 * @property {number} threshold
 * @property {number} validation_f1_per_domain
 * @property {number} f1_per_domain
 * @property {number} n_instances
 * @property {number | null} low
 * @property {number | null} high
 * @property {number | null} q_value
 * @property {Record<string, number>} controls
 */
/**
 * @typedef {Record<string, { name: string, colour: string, marker: string, kind: string }>}
 *   Sources
 */

/** @param {Kit} kit @param {any} record @param {number | undefined} maximum raw */
export function factsOf(kit, record, maximum) {
  if (record.silent)
    return "Silent: it fires on no training protein, so its activations on others count as 0.";
  const share = record.n_residues ? kit.percent(record.n_active / record.n_residues) : "0 %";
  const of = (/** @type {number} */ n, /** @type {number} */ all) =>
    `${kit.count(n)} of ${kit.count(all)}`;
  const where =
    `Active on ${of(record.n_active, record.n_residues)} residues (${share}), ` +
    `in ${of(record.n_firing, record.n_proteins)} proteins`;
  return maximum === undefined
    ? `${where}.`
    : `${where}; highest activation on training proteins ${kit.fixed(maximum, 1)}.`;
}

/**
 * Where a feature is marked as firing near the ends of proteins, and what that may mean.
 * @param {Packed} table @param {any} about @param {number | undefined} row
 */
export function endsOf(table, about, row) {
  if (row === undefined || !nearEnds(table, about, row)) return "";
  const alike = about.recurrent
    ? " This model is recurrent: to it the first residues of all proteins look alike."
    : "";
  const said = nearEndsWords(table, about, row);
  return `Near the ends: ${said}. It may mark the end of a chain, not a motif.${alike}`;
}

/** @param {Kit} kit @param {Row} row */
export function bestOf(kit, row) {
  const range =
    row.low === null ? "" : ` (95\u00a0% interval ${kit.fixed(row.low)} to ${kit.fixed(row.high)})`;
  const test = kit.fixed(row.f1_per_domain);
  const validation = kit.fixed(row.validation_f1_per_domain);
  return (
    `Best match, chosen on validation proteins: ${conceptName(row.concept, row.category)}, ` +
    `above ${row.threshold} of the maximum. ` +
    `F1 per domain ${test} on test${range}, ${validation} on validation.`
  );
}

/**
 * The sources with a higher F1 on test than the feature, the highest first.
 * @param {Row} row
 * @returns {string[]}
 */
export function above(row) {
  const names = Object.keys(row.controls).filter((name) => row.controls[name] > row.f1_per_domain);
  return names.sort((a, b) => row.controls[b] - row.controls[a]);
}

/**
 * What others are to the feature: controls, unless it is one itself.
 * @param {Row | undefined} row
 */
export function kindOf(row) {
  return row && "sae" in row.controls ? "other source" : "control";
}

/**
 * How the controls compare with the feature.
 * @param {Kit} kit
 * @param {Row[]} rows best first
 * @param {Sources} sources
 */
export function honestly(kit, rows, sources) {
  const [best, ...others] = rows;
  if (!best) return "";
  if (Object.keys(best.controls).length === 0) return "This run has no controls to compare with.";
  const said = (/** @type {string} */ name) => {
    const note = sources[name]?.kind === "probe" ? " (trained on the labels)" : "";
    return `${nameOf(sources, name)}${note} ${kit.fixed(best.controls[name])}`;
  };
  const rival = kindOf(best);
  const higher = above(best);
  const name = conceptName(best.concept, best.category);
  const first = higher.length
    ? `On ${name} these reach more than this feature: ${listed(higher.map(said))}.`
    : `On ${name} no ${rival} reaches more than this feature.`;
  if (others.length === 0) return first;
  const beaten = others.filter((row) => above(row).length).length;
  const one = rival === "control" ? "A control" : "Another source";
  const rest = `${others.length} other concept${others.length > 1 ? "s" : ""}`;
  return `${first} ${one} reaches more on ${beaten} of ${rest} shown.`;
}

/** @param {Sources} sources @param {string} source */
export function nameOf(sources, source) {
  return sources[source]?.name ?? source;
}

/**
 * A row in one line, for a screen reader and a tooltip.
 * @param {Kit} kit @param {Row} row @param {Sources} sources @param {string} own
 */
export function lineOf(kit, row, sources, own) {
  const range =
    row.low === null ? "" : `, 95\u00a0% interval ${kit.fixed(row.low)} to ${kit.fixed(row.high)}`;
  const others = Object.entries(row.controls).map(
    ([name, value]) => `${nameOf(sources, name)} ${kit.fixed(value)}`,
  );
  const rest = others.length ? `; best of ${others.join(", ")}` : "";
  return `F1 on test: ${nameOf(sources, own)} ${kit.fixed(row.f1_per_domain)}${range}${rest}`;
}

/** a, b and c. @param {string[]} parts */
function listed(parts) {
  return parts.length < 2
    ? parts.join("")
    : `${parts.slice(0, -1).join(", ")} and ${parts[parts.length - 1]}`;
}

/** A q value; a dash: none. @param {Kit} kit @param {number | null} value */
export function qOf(kit, value) {
  return value !== null && value < 0.001 ? "< 0.001" : kit.fixed(value, 3);
}

/** @param {Kit} kit @param {Row} row */
export function rangeOf(kit, row) {
  return row.low === null ? "–" : `${kit.fixed(row.low)} to ${kit.fixed(row.high)}`;
}

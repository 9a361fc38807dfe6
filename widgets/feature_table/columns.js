// @ts-check
// The columns of the table: what each is, on which proteins, and how its numbers are written.

import { conceptHint, conceptName } from "../kit/concept_names.js";

/** @import { Kit } from "../kit/types.js" */
/** @import { Shown } from "../feature_data/listing.js" */

/**
 * @typedef {object} Column
 * @property {string} name as `interplm_nb/widgets/feature_list.py` has it
 * @property {string} label
 * @property {string} hint
 * @property {number} width in CSS pixels; 0: what is left
 * @property {"names" | "share" | "number"} kind `share` is drawn as a bar from 0 to 1
 * @property {(kit: Kit, value: number) => string} [write]
 */

export const ROW = 26; // height of a row in CSS pixels, as style.css has it

/** The column in whose cells features are marked: it is in sight at every width. */
export const MARKED = "concept";
/** The mark of a feature whose maxima lie near the ends of proteins. */
export const BADGE = "ends";

const whole = (/** @type {Kit} */ kit, /** @type {number} */ value) => kit.count(value);
const one = (/** @type {Kit} */ kit, /** @type {number} */ value) => kit.fixed(value, 1);
const plain = (/** @type {Kit} */ _, /** @type {number} */ value) => String(value);
const two = (/** @type {Kit} */ kit, /** @type {number} */ value) => kit.fixed(value, 2);
const small = (/** @type {Kit} */ _, /** @type {number} */ value) =>
  value < 0.001 ? value.toExponential(0) : value.toPrecision(2);
const shares = (/** @type {Kit} */ kit, /** @type {number} */ value) => kit.percent(value);

/** @type {Column[]} */
const COLUMNS = [
  {
    name: "feature",
    label: "feature",
    hint: "Number of the feature, from 0",
    width: 62,
    kind: "number",
    write: plain,
  },
  {
    name: "members",
    label: "chosen",
    hint: "Number of the chosen proteins in which the feature fires",
    width: 64,
    kind: "number",
    write: whole,
  },
  {
    name: "background_share",
    label: "others",
    hint: "Share of the run's other proteins in which the feature fires",
    width: 60,
    kind: "number",
    write: shares,
  },
  {
    name: "q_count",
    label: "q",
    hint: "Fisher's exact test of these two, after Benjamini and Hochberg over all features",
    width: 62,
    kind: "number",
    write: small,
  },
  {
    name: "concept",
    label: "concept",
    width: 0,
    kind: "names",
    hint:
      "Of the feature's scored concepts that match, the best on validation proteins; " +
      "in the order of ranks, that of the lowest rank",
  },
  {
    name: "enrichment",
    label: "enriched",
    hint:
      "Place by one-sided Fisher's exact test: 1 is the feature that your proteins have most " +
      "clearly more often than the background",
    width: 88,
    kind: "number",
    write: whole,
  },
  {
    name: "share_here",
    label: "here",
    hint: "Share of your proteins in which the feature is above 0.15 of its maximum",
    width: 62,
    kind: "number",
    write: shares,
  },
  {
    name: "share_background",
    label: "background",
    hint: "Share of the background's proteins in which it is: those that the SAE's run stores",
    width: 88,
    kind: "number",
    write: shares,
  },
  {
    name: "q_enrichment",
    label: "q",
    hint: "False discovery rate of the enrichment, after Benjamini and Hochberg",
    width: 66,
    kind: "number",
    write: small,
  },
  {
    name: "validation_f1_per_domain",
    label: "F1 validation",
    width: 116,
    kind: "share",
    write: two,
    hint: "F1 per domain on validation proteins, where the pair was chosen: biased upward",
  },
  {
    name: "f1_per_domain",
    label: "F1 test",
    width: 92,
    kind: "share",
    write: two,
    hint: "F1 per domain of the same concept and threshold on test proteins",
  },
  {
    name: "rank",
    label: "rank",
    hint: "Place among all features for this concept, by F1 on validation",
    width: 56,
    kind: "number",
    write: whole,
  },
  {
    name: "category",
    label: "category",
    hint: "Category of the concept",
    width: 120,
    kind: "names",
  },
  {
    name: "density",
    label: "density",
    width: 82,
    kind: "number",
    write: shares,
    hint: "Share of residues of the whole run on which the feature is active",
  },
  {
    name: "n_proteins",
    label: "proteins",
    width: 66,
    kind: "number",
    write: whole,
    hint: "Proteins of the whole run with at least one active residue",
  },
  {
    name: "share_near_ends",
    label: "near ends",
    width: 76,
    kind: "number",
    write: shares,
    hint:
      "Share of its maxima, one per protein in which it is active, that lie within a few " +
      "residues of an end of the protein; the row is marked where it is high",
  },
  {
    name: "maximum",
    label: "maximum",
    width: 74,
    kind: "number",
    write: one,
    hint: "Highest activation on training proteins, as the SAE gives it; 0: silent",
  },
  {
    name: "cluster",
    label: "cluster",
    width: 60,
    kind: "number",
    write: plain,
    hint: "Cluster of the feature's decoder vector; a dash: no cluster",
  },
  {
    name: "description",
    label: "description",
    hint: "Description of the feature",
    width: 240,
    kind: "names",
  },
];

/** Those that a list has. @param {Shown} shown @returns {Column[]} */
export function columnsOf(shown) {
  return COLUMNS.filter(({ name }) => shown.has(name));
}

/**
 * A cell as it is shown; a dash where there is nothing.
 * @param {Kit} kit
 * @param {Shown} shown
 * @param {Column} column
 * @param {number} row
 * @returns {string}
 */
export function textOf(kit, shown, { name, kind, write = plain }, row) {
  if (kind !== "names") {
    const value = shown.value(name, row);
    return Number.isNaN(value) ? "–" : write(kit, value);
  }
  const text = shown.name(name, row);
  if (text === undefined) return "–";
  return name === "concept" ? conceptName(text, shown.name("category", row) ?? "") : text;
}

/**
 * What a pointer on a name says.
 * @param {Shown} shown @param {Column} column @param {number} row @returns {string | null}
 */
export function hintOf(shown, { name }, row) {
  const text = shown.name(name, row);
  if (text === undefined || name !== "concept") return text ?? null;
  return conceptHint(text, shown.name("category", row) ?? "");
}

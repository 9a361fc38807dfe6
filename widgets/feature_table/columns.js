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
/** The mark of a feature with a person's note. */
export const NOTED = "note";

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
      "in the order of ranks, that of the lowest rank. In quotes: no concept matches the search, " +
      "but these words of a description, a motif or a note do",
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
    name: "note",
    label: "a person's note",
    hint: "What a person wrote of the feature, with the description that it got next to it",
    width: 180,
    kind: "names",
  },
  {
    name: "description",
    label: "description",
    hint: "What the feature responds to, in words, as its describer put it",
    width: 240,
    kind: "names",
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
    name: "described_by",
    label: "described by",
    hint: "Who described it: statistical, which asks no language model, or the model's name",
    width: 100,
    kind: "names",
  },
  {
    name: "description_r",
    label: "r",
    width: 46,
    kind: "number",
    write: two,
    hint:
      "Pearson r of the feature's maxima, on proteins that its describer did not see, with what " +
      "a judge predicts from the description",
  },
  {
    name: "comment",
    label: "comment",
    hint: "What a person remarked on the feature",
    width: 180,
    kind: "names",
  },
  {
    name: "density_class",
    label: "class",
    hint:
      "By the share of residues on which it is active: silent 0, rare below 0.01 %, sparse below " +
      "1 %, frequent below 10 %, else dense",
    width: 74,
    kind: "names",
  },
  {
    name: "protein_frequency",
    label: "of proteins",
    hint: "Share of the run's proteins with a residue above the threshold of stage features",
    width: 84,
    kind: "number",
    write: shares,
  },
  {
    name: "share_when_present",
    label: "of a protein",
    hint: "Share of a protein's residues on which it is active, mean over proteins that have one",
    width: 88,
    kind: "number",
    write: shares,
  },
  {
    name: "quantile_50",
    label: "median",
    hint: "Median of its active values, as a fraction of its maximum over train",
    width: 66,
    kind: "number",
    write: two,
  },
  {
    name: "quantile_95",
    label: "95 %",
    hint: "95th percentile of its active values, as a fraction of its maximum over train",
    width: 52,
    kind: "number",
    write: two,
  },
  {
    name: "protein_entropy",
    label: "protein bits",
    hint:
      "Entropy of its activation over proteins, in bits: 2 to that power is the number of " +
      "proteins over which it would be even",
    width: 86,
    kind: "number",
    write: one,
  },
  {
    name: "amino_acid_entropy",
    label: "letter entropy",
    hint: "Entropy of its activation over the 20 amino acids, in bits; 0: one letter",
    width: 98,
    kind: "number",
    write: two,
  },
  {
    name: "amino_acid_information",
    label: "letter bits",
    hint: "Information of its activation on the amino acid, in bits; 0: it ignores the letter",
    width: 80,
    kind: "number",
    write: two,
  },
  {
    name: "top_amino_acid",
    label: "letter",
    hint: "The amino acid on which most of its activation falls",
    width: 56,
    kind: "names",
  },
  {
    name: "position_bias",
    label: "position bias",
    hint:
      "Distance of its maxima's places in their proteins from uniform (Kolmogorov-Smirnov): 0 " +
      "anywhere, 1 always at one place",
    width: 92,
    kind: "number",
    write: two,
  },
  {
    name: "shape",
    label: "shape",
    hint: "Along proteins: point, motif, domain, whole protein, periodic, mixed, too few",
    width: 96,
    kind: "names",
  },
  {
    name: "mean_run",
    label: "run",
    hint: "Mean length of its unbroken stretches, in residues",
    width: 52,
    kind: "number",
    write: one,
  },
  {
    name: "longest_run",
    label: "longest run",
    hint: "Length of its longest unbroken stretch, in residues",
    width: 84,
    kind: "number",
    write: whole,
  },
  {
    name: "period",
    label: "period",
    hint: "Residues from one of its stretches to the next; a dash: it has no period",
    width: 60,
    kind: "number",
    write: whole,
  },
  {
    name: "motif_information",
    label: "motif bits",
    hint: "Information of the letters around its maxima, in bits, over the columns",
    width: 80,
    kind: "number",
    write: one,
  },
  {
    name: "motif_pattern",
    label: "motif",
    hint: "Pattern of these letters in PROSITE's syntax; a dash: none beyond chance",
    width: 150,
    kind: "names",
  },
];

const ALWAYS = ["feature", "members", "background_share", "q_count", "concept"];

/**
 * Those that are shown.
 * @param {Shown} shown @param {string[]} chosen names
 * @returns {Column[]}
 */
export function columnsOf(shown, chosen) {
  const wanted = new Set([...ALWAYS, ...chosen]);
  return COLUMNS.filter(({ name }) => wanted.has(name) && shown.has(name));
}

/** Those that may be chosen. @param {Shown} shown @returns {Column[]} */
export function choosable(shown) {
  return COLUMNS.filter(({ name }) => !ALWAYS.includes(name) && shown.has(name));
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
  if (text === undefined) return (name === "concept" && shown.found(row)) || "–";
  return name === "concept" ? conceptName(text, shown.name("category", row) ?? "") : text;
}

/**
 * What a pointer on a name says.
 * @param {Shown} shown @param {Column} column @param {number} row @returns {string | null}
 */
export function hintOf(shown, { name }, row) {
  const text = shown.name(name, row);
  if (text === undefined && name === "concept") return shown.found(row) || null;
  if (text === undefined || name !== "concept") return text ?? null;
  return conceptHint(text, shown.name("category", row) ?? "");
}

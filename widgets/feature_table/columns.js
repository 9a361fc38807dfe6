// @ts-check
// The columns of the table: what each is, on which proteins, and how its numbers are written.

/** @import { Kit, Packed } from "../kit/types.js" */

/** @typedef {Packed} Table the packed feature list */
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
    name: "concept",
    label: "best concept",
    width: 0,
    kind: "names",
    hint: "Best match on validation proteins, among concepts with enough instances",
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
    name: "category",
    label: "category",
    hint: "Category of the best concept",
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

/** Those that the run has. @param {Table} table @returns {Column[]} */
export function columnsOf(table) {
  return COLUMNS.filter(({ name }) => table.record.columns.includes(name));
}

/** Columns of names, which a search reads. @param {Table} table @returns {string[]} */
export function namesOf(table) {
  return table.record.columns.filter((/** @type {string} */ name) =>
    Array.isArray(table.record[name]),
  );
}

/**
 * Is nothing there? Names and clusters are numbers from 0, other columns hold NaN.
 * @param {Table} table @param {string} name @returns {(row: number) => boolean}
 */
export function missing(table, name) {
  const values = table.arrays[name];
  const numbered = Array.isArray(table.record[name]) || name === "cluster";
  return numbered ? (row) => values[row] < 0 : (row) => Number.isNaN(values[row]);
}

/**
 * A cell as it is shown; a dash where there is nothing.
 * @param {Kit} kit
 * @param {Table} table
 * @param {Column} column
 * @param {number} row
 * @returns {string}
 */
export function textOf(kit, table, { name, write = plain }, row) {
  if (missing(table, name)(row)) return "–";
  const value = table.arrays[name][row];
  return table.record[name]?.[value] ?? write(kit, value);
}

// @ts-check
// Which features the table shows, and in which order. `FeatureTable.rows` in Python does the same.

import { missing, namesOf } from "./columns.js";

/** @typedef {import("./columns.js").Table} Table */
/**
 * @typedef {object} Filter
 * @property {string} search
 * @property {string} category
 * @property {number} least_f1
 * @property {boolean} silent
 * @property {Set<number> | null} [only]
 */

/**
 * All rows in the order of a column: stable, what is missing last, upward and downward.
 * @param {Table} table @param {string} name @param {boolean} descending @returns {number[]}
 */
export function ordered(table, name, descending) {
  const values = table.arrays[name];
  const isMissing = missing(table, name);
  const rows = Array.from(values.keys());
  const sign = descending ? -1 : 1;
  const there = rows
    .filter((row) => !isMissing(row))
    .sort((a, b) => sign * (values[a] - values[b]));
  return there.concat(rows.filter(isMissing));
}

/** Does the feature fire on training proteins? @param {Table} table @param {number} row */
export function isAlive({ arrays }, row) {
  return !arrays.maximum || arrays.maximum[row] > 0;
}

/**
 * The rows of `order` that pass.
 * @param {Table} table
 * @param {number[]} order
 * @param {Filter} filter `only`: features that may be shown
 * @returns {number[]}
 */
export function filtered(table, order, { search, category, least_f1, silent, only }) {
  const { record, arrays } = table;
  const place = category ? record.category?.indexOf(category) : -1;
  const least = Math.fround(least_f1); // as the column is kept
  const tests = search
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => matching(table, word));
  return order.filter(
    (row) =>
      (silent || isAlive(table, row)) &&
      (!category || arrays.category[row] === place) &&
      (!least || arrays.f1_per_domain[row] >= least) &&
      (!only || only.has(arrays.feature[row])) &&
      tests.every((test) => test(row)),
  );
}

/**
 * A word is the beginning of the feature's number, or within a name.
 * @param {Table} table @param {string} word @returns {(row: number) => boolean}
 */
function matching(table, word) {
  const hits = namesOf(table).map((name) => ({
    values: table.arrays[name],
    named: table.record[name].map((/** @type {string} */ text) =>
      text.toLowerCase().includes(word),
    ),
  }));
  const { feature } = table.arrays;
  const number = /^\d+$/.test(word);
  return (row) =>
    (number && String(feature[row]).startsWith(word)) ||
    hits.some(({ values, named }) => named[values[row]]);
}

/**
 * Rows as a CSV file has them: all columns, names in full.
 * @param {Table} table @param {number[]} rows @returns {(string | number | null)[][]}
 */
export function csvRows(table, rows) {
  const { columns } = table.record;
  const cells = columns.map((/** @type {string} */ name) => {
    const [values, names, isMissing] = [
      table.arrays[name],
      table.record[name],
      missing(table, name),
    ];
    const written = (/** @type {number} */ value) =>
      names ? names[value] : Number(value.toPrecision(7)); // what float32 holds
    return (/** @type {number} */ row) => (isMissing(row) ? null : written(values[row]));
  });
  return [
    columns,
    ...rows.map((row) => cells.map((/** @type {(row: number) => any} */ cell) => cell(row))),
  ];
}

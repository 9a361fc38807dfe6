// @ts-check
// Rows as a CSV file has them.

/** @import { Shown } from "../feature_data/listing.js" */

/**
 * All columns, names in full and as they are scored.
 * @param {Shown} shown @param {number[]} rows @returns {(string | number | null)[][]}
 */
export function csvRows(shown, rows) {
  const common = Object.keys(shown.common?.columns ?? {});
  const columns = [...shown.columns, ...common];
  const cell = (/** @type {string} */ name, /** @type {number} */ row) => {
    if (shown.isNames(name)) return shown.name(name, row) ?? null;
    const value = shown.value(name, row);
    if (Number.isNaN(value)) return null;
    return common.includes(name) ? value : Number(value.toPrecision(7)); // what float32 holds
  };
  return [columns, ...rows.map((row) => columns.map((name) => cell(name, row)))];
}

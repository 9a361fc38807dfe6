import assert from "node:assert/strict";
import { test } from "node:test";
import { columnsOf, namesOf, textOf } from "../feature_table/columns.js";
import { csvRows, filtered, ordered } from "../feature_table/rows.js";

const NONE = { search: "", category: "", least_f1: 0, silent: false };

/** Five features; 1 matches nothing, 3 is silent. */
function table() {
  return {
    record: {
      columns: ["feature", "maximum", "concept", "category", "f1_per_domain", "cluster"],
      concept: ["Beta strand", "Helix"],
      category: ["fold"],
    },
    arrays: {
      feature: Int32Array.of(10, 11, 12, 110, 14),
      maximum: Float32Array.of(2, 2, 5, 0, 1),
      concept: Int32Array.of(1, -1, 0, -1, 1),
      category: Int32Array.of(0, -1, 0, -1, 0),
      f1_per_domain: Float32Array.of(0.35, NaN, 0.5, NaN, 0.35),
      cluster: Int32Array.of(3, -1, 0, -1, 3),
    },
  };
}
const all = [0, 1, 2, 3, 4];

test("sorting is stable and puts what is missing last, both ways", () => {
  assert.deepEqual(ordered(table(), "f1_per_domain", true), [2, 0, 4, 1, 3]);
  assert.deepEqual(ordered(table(), "f1_per_domain", false), [0, 4, 2, 1, 3]);
  assert.deepEqual(ordered(table(), "concept", false), [2, 0, 4, 1, 3]);
  assert.deepEqual(ordered(table(), "cluster", true), [0, 4, 2, 1, 3]);
});

test("a word of a search begins a number or is within a name; every word must hit", () => {
  const { feature } = table().arrays;
  const found = (/** @type {string} */ search) =>
    filtered(table(), all, { ...NONE, search, silent: true }).map((row) => feature[row]);
  assert.deepEqual(found("11"), [11, 110]);
  assert.deepEqual(found("hel"), [10, 14]);
  assert.deepEqual(found(" HEL 14 "), [14]);
  assert.deepEqual(found("strand fold"), [12]);
  assert.deepEqual(found("nothing"), []);
});

test("filters by category, by F1 and by life; F1 is compared as the column is kept", () => {
  assert.deepEqual(filtered(table(), all, NONE), [0, 1, 2, 4]);
  assert.deepEqual(filtered(table(), all, { ...NONE, silent: true }), all);
  assert.deepEqual(filtered(table(), all, { ...NONE, category: "fold" }), [0, 2, 4]);
  assert.deepEqual(filtered(table(), all, { ...NONE, least_f1: 0.35 }), [0, 2, 4]);
  assert.deepEqual(filtered(table(), all, { ...NONE, only: new Set([12]) }), [2]);
});

test("a column that is not there is absent, a value that is not there is a dash", () => {
  const names = columnsOf(table()).map(({ name }) => name);
  const wanted = ["feature", "concept", "f1_per_domain", "category", "maximum", "cluster"];
  assert.deepEqual(names, wanted);
  const kit = { fixed: (/** @type {number} */ v, /** @type {number} */ n) => v.toFixed(n) };
  const cells = (/** @type {number} */ row) =>
    columnsOf(table()).map((column) => textOf(kit, table(), column, row));
  assert.deepEqual(cells(0), ["10", "Helix", "0.35", "fold", "2.0", "3"]);
  assert.deepEqual(cells(1), ["11", "–", "–", "–", "2.0", "–"]);
});

test("a column of names that comes later is searched, shown and saved", () => {
  const { record, arrays } = table();
  const later = {
    record: { ...record, columns: [...record.columns, "description"], description: ["binds zinc"] },
    arrays: { ...arrays, description: Int32Array.of(-1, 0, -1, -1, -1) },
  };
  assert.deepEqual(namesOf(later), ["concept", "category", "description"]);
  assert.deepEqual(filtered(later, all, { ...NONE, search: "zinc" }), [1]);
  assert.deepEqual(csvRows(later, [1, 0])[1], [11, 2, null, null, null, null, "binds zinc"]);
  assert.deepEqual(csvRows(later, [1, 0])[2], [10, 2, "Helix", "fold", 0.35, 3, null]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { choosable, columnsOf, hintOf, textOf } from "../feature_table/columns.js";
import { csvRows } from "../feature_table/rows.js";
import { Listing, narrows, relisted } from "../feature_data/listing.js";
import { orderOf } from "../feature_data/order.js";

/** Five features; 11 has no pair, 110 is silent. */
function table() {
  return {
    record: {
      columns: ["feature", "maximum", "concept", "category", "f1_per_domain", "cluster"],
      concept: [],
      category: [],
    },
    arrays: {
      feature: Int32Array.of(10, 11, 12, 110, 14),
      maximum: Float32Array.of(2, 2, 5, 0, 1),
      concept: Int32Array.of(0, -1, 0, -1, 0),
      category: Int32Array.of(0, -1, 0, -1, 0),
      f1_per_domain: Float32Array.of(0, NaN, 0, NaN, 0),
      cluster: Int32Array.of(3, -1, 0, -1, 3),
    },
  };
}

/** Best on validation first; 14 is "Zinc finger" only as its third pair. */
const PAIRS = [
  [10, "Domain_any", "Domain", 0.9, 0.2],
  [14, "Domain_any", "Domain", 0.8, 0.35],
  [12, "Domain_any", "Domain", 0.7, 0.6],
  [14, "Helix", "Helix", 0.6, 0.7],
  [14, "Zinc finger_C2H2", "Zinc finger", 0.3, 0.4],
  [12, "Zinc finger_C2H2", "Zinc finger", 0.2, 0.5],
];

function listing() {
  const concepts = [...new Set(PAIRS.map(([, concept]) => concept))];
  const of = (/** @type {number} */ i) => PAIRS.map((pair) => pair[i]);
  return new Listing(table(), {
    record: {
      concept: concepts,
      category: concepts.map((name) => PAIRS.find((pair) => pair[1] === name)[2]),
    },
    arrays: {
      feature: Uint16Array.from(of(0)),
      concept: Uint16Array.from(of(1).map((name) => concepts.indexOf(name))),
      validation_f1_per_domain: Float32Array.from(of(3)),
      f1_per_domain: Float32Array.from(of(4)),
    },
  });
}

/** Features in order, each with its concept. */
function listed(/** @type {any} */ wanted, /** @type {any} */ common = null) {
  const [name, descending] = orderOf(wanted, common, table().record.columns);
  const shown = listing().list(wanted, common, name === "rank");
  return shown
    .ordered(name, descending)
    .map((row) => [table().arrays.feature[row], shown.name("concept", row)]);
}

test("a search finds a feature by any of its pairs, and shows the pair that matched", () => {
  assert.deepEqual(listed({ search: "zinc" }), [
    [14, "Zinc finger_C2H2"],
    [12, "Zinc finger_C2H2"],
  ]);
  assert.deepEqual(listed({ search: " ZINC 12 " }), [[12, "Zinc finger_C2H2"]]);
  assert.deepEqual(listed({ search: "any kind" }), [
    [10, "Domain_any"],
    [14, "Domain_any"],
    [12, "Domain_any"],
  ]);
  assert.deepEqual(listed({ search: "helix zinc" }), []); // both words, of one pair
  assert.deepEqual(listed({ search: "11", silent: true }), [
    [11, undefined],
    [110, undefined],
  ]);
});

test("category and least F1 look at all pairs; F1 is compared as it is kept", () => {
  assert.deepEqual(listed({ category: "Zinc finger", least_f1: 0.5 }), [[12, "Zinc finger_C2H2"]]);
  assert.deepEqual(listed({ least_f1: 0.35 }), [
    [14, "Helix"],
    [12, "Zinc finger_C2H2"],
  ]);
  assert.deepEqual(
    listed({ least_f1: 0.35, category: "Domain" }).map(([feature]) => feature),
    [14, 12],
  );
});

test("with nothing asked, the best of each concept comes first, and no test figure counts", () => {
  assert.deepEqual(listed({}), [
    [10, "Domain_any"], // rank 1, 0.9
    [14, "Helix"], // rank 1, 0.6: before its rank 2 of a domain, and before its zinc finger
    [12, "Zinc finger_C2H2"], // rank 2, while it is third of the domains
    [11, undefined],
  ]);
});

test("features that were picked out, and those in common, are listed alone", () => {
  assert.deepEqual(
    listed({ among: [12, 11] }).map(([feature]) => feature),
    [12, 11],
  );
  const common = {
    columns: { p_count: [0.5, 0.01, 0.01], share: [1, 0.5, 1] },
    places: new Map([[10, 0], [12, 1], [14, 2]]),
  };
  assert.deepEqual(
    listed({}, common).map(([feature]) => feature),
    [14, 12, 10],
  );
});

test("a list is narrow where features that fire are left out", () => {
  assert.ok(!narrows({ silent: true, search: " " }));
  for (const one of [{ search: "x" }, { category: "Helix" }, { least_f1: 0.1 }, { among: [0] }])
    assert.ok(narrows(one));
  const kept = relisted({ search: "x", least_f1: 0.5 }, { search: "", among: [3], why: "lasso" });
  assert.deepEqual(kept, { least_f1: 0.5, among: [3], why: "lasso" });
  assert.deepEqual(relisted(kept, { among: [], why: "", least_f1: 0 }), {});
});

test("sorting is stable and puts what is missing last, both ways", () => {
  const shown = listing().list({ silent: true });
  const by = (/** @type {string} */ name, /** @type {boolean} */ down) =>
    shown.ordered(name, down).map((row) => table().arrays.feature[row]);
  assert.deepEqual(by("f1_per_domain", true), [12, 14, 10, 11, 110]);
  assert.deepEqual(by("cluster", true), [10, 14, 12, 11, 110]);
  assert.deepEqual(by("cluster", false), [12, 10, 14, 11, 110]);
  assert.deepEqual(by("concept", false), [10, 12, 14, 11, 110]);
});

test("cells say names in words, files as they are scored; what is not there is a dash", () => {
  const shown = listing().list({});
  const all = ["f1_per_domain", "rank", "category", "maximum", "cluster"];
  const names = columnsOf(shown, all).map(({ name }) => name);
  assert.deepEqual(columnsOf(shown, ["cluster", "density"]).map(({ name }) => name), [
    "feature",
    "concept",
    "cluster",
  ]);
  assert.deepEqual(choosable(shown).map(({ name }) => name), all);
  assert.deepEqual(
    names,
    ["feature", "concept", "f1_per_domain", "rank", "category", "maximum", "cluster"],
  );
  const kit = {
    fixed: (/** @type {number} */ v, /** @type {number} */ n) => v.toFixed(n),
    count: String,
  };
  const cells = (/** @type {number} */ row) =>
    columnsOf(shown, all).map((column) => textOf(kit, shown, column, row));
  assert.deepEqual(cells(0), ["10", "Domain, any kind", "0.20", "1", "Domain", "2.0", "3"]);
  assert.deepEqual(cells(1), ["11", "–", "–", "–", "–", "2.0", "–"]);
  const concept = columnsOf(shown, [])[1];
  assert.match(hintOf(shown, concept, 0), /every annotated residue of category Domain.*Domain_any/);
  assert.deepEqual(csvRows(shown, [0, 1]), [
    [...table().record.columns, "rank"],
    [10, 2, "Domain_any", "Domain", 0.2, 3, 1],
    [11, 2, null, null, null, null, null],
  ]);
});

/** With descriptions of 11 and 12, and a motif of 14. */
function told() {
  const { record, arrays } = table();
  const { pairs } = listing();
  return new Listing(
    {
      record: {
        ...record,
        columns: [...record.columns, "description", "motif_pattern"],
        description: ["Binds zinc", "Fires on a helix"],
        motif_pattern: ["C-x(2)-C"],
      },
      arrays: {
        ...arrays,
        description: Int32Array.of(-1, 0, 1, -1, -1),
        motif_pattern: Int32Array.of(-1, -1, -1, -1, 0),
      },
    },
    pairs,
  );
}

/** Rows that a search lists, each with its concept or what was found. */
function found(/** @type {Listing} */ of, /** @type {any} */ wanted) {
  const shown = of.list(wanted);
  return shown.rows.map((row) => [
    shown.table.arrays.feature[row],
    shown.name("concept", row) ?? shown.found(row),
  ]);
}

test("a description and a motif are searched, shown and saved", () => {
  const all = told();
  assert.deepEqual(found(all, { search: "binds zinc" }), [[11, "“Binds zinc”"]]);
  assert.deepEqual(found(all, { search: "c-x(2)" }), [[14, "“C-x(2)-C”"]]);
  const shown = all.list({ search: "binds" });
  assert.equal(csvRows(shown, [1])[1][6], "Binds zinc");
  assert.ok(shown.isNames("motif_pattern") && !shown.isNames("maximum"));
});

test("a pair whose names match goes before words of a description", () => {
  const all = told();
  assert.deepEqual(found(all, { search: "zinc" }), [
    [11, "“Binds zinc”"],
    [12, "Zinc finger_C2H2"],
    [14, "Zinc finger_C2H2"],
  ]);
  // 12 has no pair of a helix: its description stands in quotes, and no pair that says nothing
  assert.deepEqual(found(all, { search: "helix" }), [
    [12, "“Fires on a helix”"],
    [14, "Helix"],
  ]);
  // a word of the pair and one of the description
  assert.deepEqual(found(all, { search: "helix finger" }), [[12, "Zinc finger_C2H2"]]);
  // with another criterion a pair must meet it
  assert.deepEqual(found(all, { search: "helix", category: "Domain" }), [[12, "Domain_any"]]);
});

test("notes are searched, sorted and saved, and come and go", () => {
  const all = told();
  assert.ok(!all.list({}).has("note"));
  all.take({
    10: { note: "A long story that ends with copper", note_date: "2026-11-30T09:00:00Z" },
    12: { comment: "dull", note_author: "Ada" },
  });
  assert.deepEqual(found(all, { search: "copper" }), [[10, "“…tory that ends with copper”"]]);
  assert.deepEqual(found(all, { search: "dull" }), [[12, "“dull”"]]);
  const shown = all.list({});
  assert.ok(shown.has("note") && shown.isNames("comment"));
  assert.deepEqual(shown.ordered("note", false)[0], 0);
  const [heads, ...rows] = csvRows(shown, [0, 2]);
  const cell = (/** @type {number} */ i, /** @type {string} */ name) =>
    rows[i][heads.indexOf(name)];
  assert.deepEqual(heads.slice(-5), ["note", "comment", "note_author", "note_date", "rank"]);
  assert.equal(cell(0, "note_date"), "2026-11-30T09:00:00Z");
  const second = ["note", "comment", "note_author"].map((name) => cell(1, name));
  assert.deepEqual(second, [null, "dull", "Ada"]);
  all.take({});
  assert.deepEqual(found(all, { search: "copper" }), []);
});

// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { Bundle } from "../kit/bundle.js";
import { lutOf } from "../kit/colours.js";
import { activeWithin, cellPixels, strongest, unknownRuns } from "../residue_tracks/cells.js";
import { hit } from "../residue_tracks/cursor.js";
import { explained } from "../residue_tracks/legend.js";
import {
  Axis,
  extent,
  firstSeen,
  geometry,
  orderedBy,
  rowAt,
  scrolledTo,
  shiftOf,
  visible,
} from "../residue_tracks/layout.js";
import { selectedWords, shownWords, spansAt, spansOf, tableOf } from "../residue_tracks/words.js";

const THEME = { lut: lutOf(["#000000", "#ffffff"]), faded: "#010203" };

/** @param {Record<string, any>} fields */
function protein(fields) {
  return {
    accession: "P1",
    name: "",
    sequence: "MKVL",
    maximum: 1,
    mean: 0.5,
    position: 1,
    spans: [],
    structure: false,
    ...fields,
  };
}

/** @param {any[]} proteins @param {number[]} index @param {number[]} value @param {any} record */
function bundleOf(proteins, index, value, record = {}) {
  const arrays = {
    edges: new Float32Array([0, 1]),
    index: Uint32Array.from(index),
    value: Float32Array.from(value),
  };
  const zero = { residues: {}, proteins: {} };
  return new Bundle({
    record: { feature: 5, proteins, pinned: [], zero, n_firing: proteins.length, ...record },
    arrays,
  });
}

/** @param {Uint8ClampedArray} rgba @returns {number[][]} */
function cells(rgba) {
  return Array.from({ length: rgba.length / 4 }, (_, i) =>
    Array.from(rgba.subarray(4 * i, 4 * i + 4)),
  );
}

test("rows are in the order requested; silent proteins come last, equal ones stay", () => {
  const proteins = [
    protein({ maximum: 0.9, mean: 0.1, position: 30 }),
    protein({ maximum: 0.8, mean: 0.4, position: 2 }),
    protein({ maximum: 0.8, mean: 0.4, position: 2 }),
    protein({ maximum: 0, mean: 0, position: null }),
  ];
  assert.deepEqual(orderedBy(proteins, "maximum"), [0, 1, 2, 3]);
  assert.deepEqual(orderedBy(proteins, "mean"), [1, 2, 0, 3]);
  assert.deepEqual(orderedBy(proteins, "position"), [1, 2, 0, 3]);
  assert.deepEqual(orderedBy(proteins, "aligned"), [0, 1, 2, 3]);
});

test("aligned rows have their maximum in column 0", () => {
  const proteins = [protein({ position: 3 }), protein({ sequence: "M".repeat(10), position: 1 })];
  assert.deepEqual(
    proteins.map((p) => shiftOf(p, "aligned") + p.position - 1),
    [0, 0],
  );
  assert.deepEqual(extent(proteins, "aligned"), [-2, 10]);
  assert.deepEqual(extent(proteins, "maximum"), [0, 10]);
  assert.deepEqual(extent([], "maximum"), [0, 1]);
});

test("a row is found where it is drawn, and scrolled no further than needed", () => {
  const g = geometry(800, 300, { pinned: 1, legend: 60, bar: 0 });
  const [first, last] = visible(g, 100, 50);
  for (let row = first; row < last; row++) {
    const top = g.top + row * g.row - 100;
    if (top >= g.top) assert.equal(rowAt(g, 100, 50, top), row);
  }
  assert.equal(rowAt(g, 0, 2, g.top + 2 * g.row), -1);
  assert.equal(rowAt(g, 0, 50, g.bottom), -1);
  assert.equal(scrolledTo(g, 100, first + 2), 100);
  assert.equal(scrolledTo(g, 100, 0), 0);
  assert.equal(scrolledTo(g, 0, 20), 21 * g.row - (g.bottom - g.top));
});

test("zooming keeps the point under the pointer, from whole sequences to the widest cell", () => {
  const axis = new Axis();
  axis.cover(0, 1000, 500);
  assert.equal(axis.scale, 0.5);
  axis.zoomTo(4, 300);
  assert.ok(Math.abs(axis.column(300) - 600) < 1e-9);
  axis.zoomTo(1e9, 300);
  assert.equal(axis.scale, 20);
  axis.zoomTo(0.0001, 300);
  assert.deepEqual([axis.scale, axis.from, axis.fitted], [0.5, 0, true]);
});

test("panning stops at the ends and says so", () => {
  const axis = new Axis();
  axis.cover(-50, 50, 100);
  assert.equal(axis.pan(10), false);
  axis.zoomTo(10, 0);
  assert.equal(axis.pan(1000), true);
  assert.equal(axis.column(100), 50);
  assert.equal(axis.pan(1), false);
});

test("a hidden column is revealed, a seen one moves nothing; whole sequences stay whole", () => {
  const axis = new Axis();
  axis.cover(0, 1000, 500);
  axis.zoomTo(10, 0);
  axis.reveal(20);
  assert.equal(axis.from, 0);
  axis.reveal(700);
  assert.ok(axis.x(700) >= 0 && axis.x(701) <= 500);
  axis.fit();
  axis.cover(0, 1000, 250);
  assert.equal(axis.scale, 0.25);
});

test("a cell shows the strongest brushed residue, else it is faded; unknown ones are clear", () => {
  const values = Float32Array.from([0, 1, 0.2, 0, NaN, NaN]);
  assert.deepEqual(cells(cellPixels(values, 0, 6, 3, [], THEME)), [
    [255, 255, 255, 255],
    [51, 51, 51, 255],
    [0, 0, 0, 0],
  ]);
  assert.deepEqual(cells(cellPixels(values, 0, 4, 2, [0.1, 0.5], THEME)), [
    [1, 2, 3, 255],
    [51, 51, 51, 255],
  ]);
  assert.deepEqual(unknownRuns(values, 0, 6), [[4, 6]]);
  assert.equal(strongest(values, 0, 6), 1);
  assert.equal(strongest(Float32Array.from([NaN, 0]), 0, 2), 1);
});

test("however many residues share a cell, every one is in exactly one", () => {
  const values = new Float32Array(997);
  for (let at = 0; at < values.length; at++) {
    values.fill(0);
    values[at] = 1;
    const lit = cells(cellPixels(values, 0, 997, 300, [], THEME)).filter((c) => c[0] === 255);
    assert.equal(lit.length, 1);
  }
});

test("active residues within the brush are those of the protein alone", () => {
  const bundle = bundleOf(
    [protein({}), protein({ accession: "P2" })],
    [0, 3, 4, 6],
    [0.5, 1, 0.9, 0.1],
  );
  assert.deepEqual(
    [0, 1].map((i) => activeWithin(bundle, i, [])),
    [2, 2],
  );
  assert.deepEqual(
    [0, 1].map((i) => activeWithin(bundle, i, [0.8, 1])),
    [1, 1],
  );
  assert.deepEqual(
    [0, 1].map((i) => activeWithin(bundle, i, [0, 0.3])),
    [0, 1],
  );
});

test("where residues share a pixel the strongest is hit; next to the sequence none is", () => {
  const bundle = bundleOf([protein({ sequence: "M".repeat(1000), position: 102 })], [101], [1]);
  const g = geometry(800, 300, { pinned: 0, legend: 60, bar: 0 });
  const axis = new Axis();
  axis.cover(0, 2000, g.width);
  const tracks = { geometry: g, axis, rows: [{ place: 0, shift: 0 }], scroll: 0, bundle };
  const y = g.top + 4;
  assert.equal(hit(tracks, { x: g.left + Math.floor(axis.x(101)), y })?.position, 102);
  assert.equal(hit(tracks, { x: g.left + axis.x(1200), y }), null);
  assert.equal(hit(tracks, { x: 4, y })?.position, null);
  assert.equal(hit(tracks, { x: g.left + 4, y: g.top + g.row }), null);
});

test("an annotation that repeats another under a wider concept is said once", () => {
  const span = { start: 2, end: 3, category: "Domain", instance: 1 };
  const spans = [
    { ...span, concept: "Domain_any" },
    { ...span, concept: "Domain_SH3" },
    { ...span, concept: "Helix", category: "Helix", start: 1 },
  ];
  const one = protein({ spans });
  assert.deepEqual(
    spansAt(one, 2).map((s) => s.concept),
    ["Domain_SH3", "Helix"],
  );
  assert.deepEqual(
    spansAt(one, 1).map((s) => s.concept),
    ["Helix"],
  );
  assert.deepEqual(spansOf(one, "Domain_any").best.length, 1);
  assert.deepEqual(
    spansOf(one, "Domain_any").others.map((s) => s.concept),
    ["Helix"],
  );
  assert.deepEqual(
    spansOf(one, "").others.map((s) => s.concept),
    ["Helix", "Domain_SH3"],
  );
});

test("words say what is shown, of how many, and why not all", () => {
  const proteins = [protein({}), protein({ accession: "P2", maximum: 0, position: null })];
  const bundle = bundleOf(proteins, [0], [1], { n_firing: 1234 });
  const state = { shown: 1, among: [0, 1], chosen: false, brush: [], count: String };
  const sampled =
    "feature 5: showing 1 of 1234 proteins in which it fires (sampled evenly over strength), " +
    "and 1 in which it is silent";
  assert.equal(shownWords(bundle, state), sampled);
  assert.match(
    shownWords(bundle, { ...state, brush: [0.5, 1] }),
    /showing 1 of 2 proteins, with residues in the brush 0.50 to 1.00/,
  );
  assert.match(
    shownWords(bundle, { ...state, chosen: true, among: [0] }),
    /showing 1 chosen protein; it fires in 1 of these/,
  );
  assert.equal(selectedWords(bundle, 0, "P1", 1, false), "P1 M1: activation 1.00.");
  assert.equal(selectedWords(bundle, 0, "P1", 9, false), "P1 has 4 residues, not 9.");
  assert.equal(selectedWords(bundle, -1, "P9", 1, false), "P9 is not among the proteins shown.");
});

test("the table has the residues of the rows, within the brush", () => {
  const spans = [
    { start: 4, end: 4, concept: "Active site", category: "Active site", instance: 0 },
  ];
  const bundle = bundleOf([protein({ spans })], [1, 3], [0.25, 0.75]);
  assert.equal(tableOf(bundle, [0], [], []).length, 5);
  assert.deepEqual(tableOf(bundle, [0], [0.5, 1], []), [
    ["accession", "position", "letter", "activation", "annotations"],
    ["P1", 4, "L", 0.75, "Active site"],
  ]);
});

test("the legend says the categories without their own colour as one", () => {
  const span = (/** @type {string} */ category) => ({
    start: 1,
    end: 2,
    concept: category,
    category,
    instance: 0,
  });
  const spans = new Map([[0, { best: [], others: ["A", "B", "B", "C", "D", "D"].map(span) }]]);
  const bundle = { record: { best: null }, sparse: [] };
  const colours = { A: "#0072b2", B: "#8a8a8a", C: "#8a8a8a", D: "#d55e00" };
  const found = explained(bundle, spans, colours).map(({ text, category }) => [text, category]);
  assert.deepEqual(found, [
    ["other categories", "B"],
    ["D", "D"],
    ["A", "A"],
  ]);
});

test("most proteins get the width where a few are far longer", () => {
  const of = (/** @type {number[]} */ lengths) =>
    firstSeen(lengths.map((n) => protein({ sequence: "A".repeat(n) })));
  assert.equal(of([100, 120, 90, 2000, 110]), 120);
  assert.equal(of([100, 120, 90, 230, 110]), 230); // not far
  assert.equal(of([50, 2000]), 50);
  assert.equal(of([300]), 300);
  assert.equal(of([]), 1);
});

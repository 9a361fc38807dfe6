import assert from "node:assert/strict";
import { test } from "node:test";
import { Bundle, lowerBound } from "../kit/bundle.js";

/** @param {string} accession @param {string} sequence */
function protein(accession, sequence) {
  return {
    accession,
    sequence,
    name: "",
    maximum: 0,
    mean: 0,
    position: null,
    spans: [],
    structure: false,
  };
}

function bundle(asked = { accession: "", accessions: [] }) {
  const proteins = [protein("P1", "MKV"), protein("P2", "A"), protein("P3", "MKTAY")];
  const zero = { residues: { total: 5 }, proteins: { total: 1 } };
  const record = { feature: 7, proteins, pinned: [{ feature: 9, best: null }], zero, asked };
  const arrays = {
    edges: Float32Array.of(0, 0.5, 1.5),
    residues_total: Uint32Array.of(2, 2),
    proteins_total: Uint32Array.of(0, 2),
    index: Uint32Array.of(0, 2, 4, 8),
    value: Float32Array.of(0.5, 1, 0.25, 1.5),
    pinned_0_index: Uint32Array.of(3),
    pinned_0_value: Float32Array.of(0.75),
  };
  return new Bundle({ record, arrays });
}

/** @param {Record<string, any>} fields */
function link(fields) {
  const state = { feature: 7, pinned: [9], accession: "", accessions: [], ...fields };
  return { get: (/** @type {string} */ name) => state[name] };
}

test("values along a protein, zero where it is silent", () => {
  const found = bundle();
  assert.deepEqual(
    [0, 1, 2].map((i) => [...found.values(i)]),
    [[0.5, 0, 1], [0], [0.25, 0, 0, 0, 1.5]],
  );
  assert.deepEqual(
    [0, 1, 2].map((i) => [...found.values(i, 1)]),
    [[0, 0, 0], [0.75], [0, 0, 0, 0, 0]],
  );
  assert.equal(found.values(2), found.values(2)); // made once
});

test("counts, the axis and the places of proteins", () => {
  const found = bundle();
  assert.equal(found.top, 1.5);
  assert.deepEqual([found.place("P3"), found.place("P9"), found.place("toString")], [2, -1, -1]);
  assert.deepEqual(found.counts.residues, {
    total: Uint32Array.of(2, 2),
    annotated: null,
    zero: { total: 5 },
  });
});

test("a bundle answers for its feature, its pinned ones and its proteins only", () => {
  const found = bundle();
  assert.ok(found.answers(link({})));
  assert.ok(!found.answers(link({ feature: 8 })));
  assert.ok(!found.answers(link({ pinned: [] })));
  assert.ok(found.answers(link({ accession: "P2" })));
  assert.ok(!found.answers(link({ accession: "P9" })));
  // requested, and not in the run
  assert.ok(bundle({ accession: "P9", accessions: [] }).answers(link({ accession: "P9" })));
  assert.ok(found.answers(link({ accessions: ["P1", "P3"] })));
  assert.ok(!found.answers(link({ accessions: ["P1", "P9"] })));
  assert.ok(bundle({ accession: "", accessions: ["P9"] }).answers(link({ accessions: ["P9"] })));
});

test("the first place that is not below", () => {
  const sorted = [1, 3, 3, 8];
  for (const wanted of [0, 1, 2, 3, 4, 8, 9]) {
    const slow = sorted.findIndex((value) => value >= wanted);
    assert.equal(lowerBound(sorted, wanted), slow < 0 ? sorted.length : slow);
  }
  assert.equal(lowerBound([], 1), 0);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { Firing, falseDiscovery } from "../feature_data/common.js";
import { Proteins } from "../feature_data/proteins.js";

/** Nine features in ten proteins, one per row, so that two bytes hold a protein. */
const ROWS = [
  "100000001", "110000001", "111000000", "011000000", "001000000",
  "000100000", "000100000", "000010000", "000010000", "000000001",
]; // prettier-ignore

function firing() {
  const bits = ROWS.flatMap((row) => [
    parseInt(row.slice(0, 8), 2),
    parseInt(row.slice(8).padEnd(8, "0"), 2),
  ]);
  const record = { n_features: 9, above: 0.15, least_share: 0.5 };
  return new Firing({ record, arrays: { bits: Uint8Array.from(bits) } });
}

/** n over k, one factor at a time. */
const over = (/** @type {number} */ n, /** @type {number} */ k) =>
  Array.from({ length: k }, (_, i) => (n - i) / (i + 1)).reduce((a, b) => a * b, 1);

test("what three proteins have in common, against counts one by one", () => {
  const { columns, places } = firing().inCommon([0, 1, 2]);
  assert.deepEqual([...places.keys()], [0, 1, 8]); // of 2, one fires; of 3, the others fire more
  assert.deepEqual(columns.members, [3, 2, 2]);
  assert.deepEqual(columns.background, [0, 1, 1]);
  assert.deepEqual(columns.background_share, [0, 1 / 7, 1 / 7]);
  const p = [1 / over(10, 3), (over(3, 2) * over(7, 1) + over(3, 3)) / over(10, 3)];
  columns.p_count.forEach((value, i) =>
    assert.ok(Math.abs(value - (i === 0 ? p[0] : p[1])) < 1e-12),
  );
});

test("one protein has its own features in common, two those of both", () => {
  assert.deepEqual([...firing().inCommon([3]).places.keys()], [1, 2]);
  assert.deepEqual([...firing().inCommon([0, 1]).places.keys()], [0, 8]);
  assert.deepEqual([...firing().inCommon([0, 9]).places.keys()], [8]);
});

test("q is the least p n / place of those that are no smaller", () => {
  const p = [0.04, 0.01, 0.03, 0.5];
  const slow = p.map((value) =>
    Math.min(
      ...p
        .filter((other) => other >= value)
        .map((other) => (other * p.length) / p.filter((third) => third <= other).length),
    ),
  );
  falseDiscovery(p).forEach((q, i) => assert.ok(Math.abs(q - slow[i]) < 1e-12));
});

test("proteins are found by every word of accession, name, organism, gene or family", () => {
  const proteins = new Proteins({
    record: {
      n: 3,
      accession: ["P1", "P2", "P3"],
      name: ["Cytochrome c", "Cytochrome c oxidase", "Kinase"],
      organism: ["Yeast", "Mouse", "Mouse"],
      family: ["", "", "AGC kinase"],
    },
    arrays: {},
  });
  assert.deepEqual(proteins.matching("CYTO yeast"), [0]);
  assert.deepEqual(proteins.matching("agc"), [2]);
  assert.deepEqual(proteins.matching("p2"), [1]);
  assert.deepEqual(proteins.matching(" c "), []); // one letter finds too many
  assert.deepEqual(proteins.numbers(["P3", "P1"]), [2, 0]);
  assert.equal(proteins.numbers(["P3", "X"]), null);
  assert.equal(proteins.said(0), "P1 Cytochrome c (Yeast)");
});

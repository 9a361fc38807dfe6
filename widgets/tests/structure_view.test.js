import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ambiguityOf,
  nameOf,
  paintOf,
  pdbOf,
  rowsOf,
  sideChains,
  stepFrom,
  strongOf,
} from "../structure_view/paint.js";

const colours = {
  rgb: Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3)),
  faded: 0xf1f1f1,
  unknown: 0xd9b26f,
};
const residue = (position, more = {}) => ({
  position,
  number: String(position),
  name: "LYS",
  letter: "K",
  chain: "B",
  first: 0,
  end: 4,
  carbon: 1,
  ...more,
});

test("residues that fit at several places are counted", () => {
  assert.equal(ambiguityOf({ n_ambiguous: 0 }), "");
  assert.match(ambiguityOf({ n_ambiguous: 1 }), /^The place of 1 residue is ambiguous/);
  assert.match(ambiguityOf({ n_ambiguous: 24 }), /^The places of 24 residues are ambig/);
});

test("colours go by position; outside the brush is faded, no position is unknown", () => {
  const paint = paintOf(Float32Array.of(0, 0.5, 1), [], colours);
  assert.deepEqual([...paint], [0xd9b26f, 0x000000, 0x808080, 0xffffff]);
  assert.deepEqual(
    [...paintOf(Float32Array.of(0, 0.5, 1), [0.4, 0.6], colours)],
    [0xd9b26f, 0xf1f1f1, 0x808080, 0xf1f1f1],
  );
  assert.deepEqual([...paintOf(null, [], colours)], [0xd9b26f]);
});

test("a residue without a position is never strong, whatever the threshold", () => {
  const residues = [residue(0), residue(1), residue(2), residue(9)];
  assert.deepEqual(
    strongOf(residues, Float32Array.of(0.5, 0.49), 0.5).map((r) => r.position),
    [1],
  );
  assert.deepEqual(
    strongOf(residues, Float32Array.of(0.5, 0), 0).map((r) => r.position),
    [1, 2],
  );
});

test("next and previous go around the ends, by position", () => {
  const strong = [9, 2, 5].map((position) => residue(position));
  assert.deepEqual(
    [null, 2, 5, 9, 6].map((from) => stepFrom(strong, from, 1)),
    [2, 5, 9, 2, 9],
  );
  assert.deepEqual(
    [null, 2, 5, 9, 6].map((from) => stepFrom(strong, from, -1)),
    [9, 9, 2, 5, 5],
  );
  assert.equal(stepFrom([], 3, 1), null);
});

test("side chains are all but the backbone's N, C and O", () => {
  assert.equal(
    sideChains([residue(1, { first: 0, end: 5 })], (atom) => ["N", "CA", "C", "O", "CB"][atom]),
    "@1,4",
  );
  assert.equal(
    sideChains([], () => ""),
    "none",
  );
});

test("a residue's name says its position, and the file's number only where it differs", () => {
  assert.equal(nameOf(residue(48), 0.627), "K48, activation 0.63");
  assert.equal(
    nameOf(residue(48, { number: "41A" }), null),
    "K48, activation unknown (LYS 41A of chain B)",
  );
  assert.equal(
    nameOf(residue(0, { number: "3" }), null),
    "LYS 3 of chain B: no UniProt position, activation unknown",
  );
});

test("rows leave unknown activations and positions empty", () => {
  const rows = rowsOf([
    { accession: "P1", residues: [residue(0), residue(1)], values: Float32Array.of(0.5) },
  ]);
  assert.deepEqual(rows.slice(1), [
    ["P1", null, "K", "0", "B", null],
    ["P1", 1, "K", "1", "B", 0.5],
  ]);
});

test("the PDB text gets activations for positions, and its columns stay in place", () => {
  const atom = "ATOM         CA  LYS B  41       12.34   -5.60    7.80  1.00";
  const line = (mark) => `${atom}${String(mark).padStart(6)}           C`;
  const text = [line(2), "TER", line(0), line(-1), "END"].join("\n");
  const made = pdbOf(text, Float32Array.of(0, 0.634), ["feature <3> of \u00e9"]).split("\n");
  assert.equal(made[0], "REMARK   1 feature <3> of ?");
  assert.equal(
    made[1],
    "ATOM      1  CA  LYS B  41       12.34   -5.60    7.80  1.00 63.40           C",
  );
  assert.deepEqual(
    made
      .filter((text) => text.startsWith("ATOM"))
      .map((text) => [text.slice(6, 11), text.slice(60, 66)]),
    [
      ["    1", " 63.40"],
      ["    2", " -1.00"],
      ["    3", " -1.00"],
    ],
  );
});

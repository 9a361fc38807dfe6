import assert from "node:assert/strict";
import { test } from "node:test";
import { count, fixed, percent } from "../kit/scales.js";
import { linesOf } from "../kit/lines.js";
import { columnAt, layoutOf, numberStep, placeOf } from "../sequence_logo/layout.js";
import { axisFor } from "../sequence_logo/logo.js";
import {
  alignmentCounts,
  centresOf,
  kindsOf,
  stackOf,
  weightsOf,
  windowCounts,
} from "../sequence_logo/weights.js";
import { captionOf, columnWords, lacking } from "../sequence_logo/words.js";

const LETTERS = "ACDEFGHIKLMNPQRSTVWY";
const KINDS = kindsOf(LETTERS);
const UNIFORM = new Array(20).fill(1 / 20);
const kit = { count, fixed, percent };
const measure = (/** @type {string} */ text) => 6 * text.length;

test("letters of either case, and nothing else", () => {
  assert.equal([...KINDS].filter((kind) => kind >= 0).length, 40);
  assert.deepEqual(
    ["A", "y", "X", "-", "é"].map((letter) => KINDS[letter.charCodeAt(0)] ?? -1),
    [0, 19, -1, -1, -1],
  );
});

/** Three proteins on one axis. */
function bundle() {
  const proteins = ["MKVLA", "G", "ACDXF"].map((sequence, i) => ({ accession: `P${i}`, sequence }));
  const sparse = [
    { index: Uint32Array.of(0, 2, 3, 6, 8), value: Float32Array.of(0.25, 0.75, 0.75, 0.5, 1) },
  ];
  return /** @type {any} */ ({ proteins, offsets: Uint32Array.of(0, 5, 6, 11), sparse });
}

test("the centre is the highest residue within the brush, the first of equals", () => {
  const found = (brush, accessions = []) =>
    centresOf(bundle(), brush, accessions).map((c) => `${c.accession} ${c.position}`);
  assert.deepEqual(found([]), ["P0 3", "P2 3"]);
  assert.deepEqual(found([0.1, 0.5]), ["P0 1", "P2 1"]); // both ends included
  assert.deepEqual(found([0.6, 0.8]), ["P0 3"]);
  assert.deepEqual(found([0, 2], ["P2", "P1"]), ["P2 3"]);
  assert.deepEqual(found([2, 3]), []);
});

test("a window ends where its protein does", () => {
  const counts = windowCounts(bundle().proteins, centresOf(bundle(), [], []), 3, KINDS);
  const shown = Array.from({ length: 7 }, (_, i) =>
    [...LETTERS].filter((_, a) => counts[20 * i + a]).join(""),
  );
  assert.deepEqual(shown, ["", "AM", "CK", "DV", "L", "AF", ""]); // X is not counted
});

test("information is that of Schneider, with the correction for small samples", () => {
  const rows = [...new Array(30).fill("AC"), ...new Array(30).fill("AD")];
  const weights = weightsOf(alignmentCounts(rows, KINDS), UNIFORM);
  const correction = 19 / (2 * Math.log(2) * 60);
  assert.ok(Math.abs(weights.information[0] - (Math.log2(20) - correction)) < 1e-12);
  assert.ok(Math.abs(weights.information[1] - (Math.log2(20) - 1 - correction)) < 1e-12);
  assert.deepEqual(
    [...weightsOf(alignmentCounts(["A-", "A-"], KINDS), UNIFORM).information],
    [0, 0],
  );
  assert.deepEqual([...weights.n], [60, 60]);
});

test("stacks: most frequent first, equals by the alphabet", () => {
  const weights = weightsOf(alignmentCounts(["W", "W", "D", "C", "C"], KINDS), UNIFORM);
  assert.equal(
    stackOf(weights, 0)
      .map((a) => LETTERS[a])
      .join(""),
    "CWD",
  );
});

test("the axis has whole bits; less than one only where the tallest column is cut", () => {
  const weights = (/** @type {number[]} */ ...bits) =>
    /** @type {any} */ ({ information: Float64Array.from(bits) });
  assert.deepEqual(
    [axisFor(weights(0.1), null), axisFor(weights(2.1, 1), null), axisFor(weights(), null)],
    [1, 3, 1],
  );
  assert.deepEqual(
    [axisFor(weights(0.1, 5, 0.2), 1), axisFor(weights(0.4, 5), 1), axisFor(weights(1.2, 5), 1)],
    [0.25, 0.5, 2],
  );
});

test("every column has its place, and a point in it finds it, in one line or several", () => {
  for (const [width, columns] of [
    [900, 21],
    [320, 21],
    [320, 101],
    [1600, 1000],
    [100, 41],
  ]) {
    const layout = layoutOf(
      width,
      columns,
      ["acidic DE", "basic KRH"],
      "a caption of words",
      measure,
    );
    for (let column = 0; column < columns; column++) {
      const { x, base } = placeOf(layout, column);
      assert.ok(x >= 44 && x + layout.column <= Math.max(width, 112) - 8 + 1e-6, `${width}: ${x}`);
      assert.equal(columnAt(layout, columns, x + layout.column / 2, base - 1), column);
    }
    assert.ok(placeOf(layout, columns - 1).base < layout.captionTop);
    assert.equal(columnAt(layout, columns, 20, layout.top + 5), null);
  }
  assert.equal(columnAt(layoutOf(900, 21, [], "", measure), 21, 60, 5000), null);
});

test("lines of a caption fit and lose no word", () => {
  const text =
    "n = 87 windows, one per protein, of 200 shown; aligned on each protein's brushed maximum";
  const lines = linesOf(text, 200, measure);
  assert.equal(lines.join(" "), text);
  assert.ok(lines.length > 1 && lines.every((line) => measure(line) <= 188));
});

test("numbers do not run into one another", () => {
  for (const column of [3, 7, 12, 44])
    assert.ok(numberStep(column, 20) * column >= 26 || numberStep(column, 20) === 100);
});

test("words of a logo and of a column", () => {
  const basis = {
    n: 1,
    shown: 200,
    firing: 1034,
    brushed: true,
    aligned: false,
    background: "swissprot",
  };
  const caption =
    "n = 1 window, one per protein, of 200 shown (1,034 fire); " +
    "aligned on each protein's brushed ";
  assert.equal(captionOf(kit, basis).slice(0, caption.length), caption);
  assert.match(lacking(basis), /the brush leaves 1$/);
  assert.match(
    lacking({ ...basis, n: 0, brushed: false }),
    /the feature fires in none of those shown$/,
  );
  assert.equal(lacking({ ...basis, n: 2 }), "");
  const weights = weightsOf(alignmentCounts([..."AAAAAACDEF"], KINDS), UNIFORM);
  const words = columnWords(kit, weights, 0, stackOf(weights, 0), "+2", LETTERS);
  assert.deepEqual(words.slice(1), [
    "n = 10",
    "A 60 %",
    "C 10 %",
    "D 10 %",
    "E 10 %",
    "others 10 %",
  ]);
});

import assert from "node:assert/strict";
import { test } from "node:test";

import { changeStep, limitOf, signed } from "../kit/changes.js";
import { letterAt, letterLayout, letterPlace } from "../sequence_playground/letters.js";
import { cellsAcross, Reading } from "../sequence_playground/reading.js";
import { substituted } from "../sequence_playground/substitutions.js";
import { itemAt, positionAt, stripLayout } from "../sequence_playground/strips.js";
import { effectWords, residueWords, valueWords } from "../sequence_playground/words.js";

const best = { concept: "Domain_any", category: "Domain", f1_per_domain: 0.4 };
const rows = [
  {
    feature: 761,
    best,
    chosen: true,
    reference: { maximum: 0.75, position: 2 },
    mutant: { maximum: 0, position: null },
    change: { reference: 0.75, mutant: 0, change: -0.75, position: 2 },
  },
  {
    feature: 5,
    best: null,
    chosen: false,
    reference: { maximum: 0.5, position: 1 },
    mutant: { maximum: 0.5, position: 1 },
    change: null,
  },
];
const record = {
  name: "P1",
  accession: "P1",
  sequence: "MAK",
  mutant: "MVK",
  mutations: [{ position: 2, before: "A", after: "V" }],
  rows,
  stretches: [],
  n_concepts: 0,
  n_features: 1,
  n_changed: 1,
  largest: 0.75,
};
const arrays = {
  reference_bounds: Uint32Array.of(0, 1, 2),
  reference_index: Uint16Array.of(1, 0),
  reference_value: Float32Array.of(0.75, 0.5),
  mutant_bounds: Uint32Array.of(0, 0, 1),
  mutant_index: Uint16Array.of(0),
  mutant_value: Float32Array.of(0.5),
};

test("every letter is found where it is drawn, at every width", () => {
  for (const width of [120, 298, 640, 1600]) {
    const layout = letterLayout(width, 357, 7);
    for (let i = 0; i < 357; i++) {
      const { x, y } = letterPlace(layout, i);
      assert.ok(x >= 0 && x + 11 <= width);
      assert.equal(letterAt(layout, x + 5, y + 5), i + 1);
    }
    const { x, y } = letterPlace(layout, 357);
    assert.equal(letterAt(layout, x + 5, y + 5), null);
  }
});

test("substitutions replace one another and end with the reference's letter", () => {
  assert.deepEqual(substituted([], "MAK", 2, "V"), ["A2V"]);
  assert.deepEqual(substituted(["A2V"], "MAK", 2, "W"), ["A2W"]);
  assert.deepEqual(substituted(["A2V", "K3R"], "MAK", 1, "L"), ["M1L", "A2V", "K3R"]);
  assert.deepEqual(substituted(["A2V", "K3R"], "MAK", 2, "A"), ["K3R"]);
  const long = "A".repeat(12);
  assert.deepEqual(substituted(["A10V"], long, 9, "V"), ["A9V", "A10V"]);
});

test("no residue is lost where there are more than cells", () => {
  const values = new Float32Array(1000);
  values[501] = 0.3;
  values[502] = -0.9;
  const cells = cellsAcross(values, 90);
  assert.equal(cells.filter((value) => value !== 0).length, 1);
  assert.equal(Math.min(...cells), Math.fround(-0.9));
  assert.deepEqual([...cellsAcross(Float32Array.of(1, 2, 3), 3)], [1, 2, 3]);
});

test("a reading knows the reference, the mutant and the change", () => {
  const reading = new Reading({ record, arrays });
  assert.deepEqual([...reading.values(0, "reference")], [0, 0.75, 0]);
  assert.deepEqual([...reading.values(0, "change")], [0, -0.75, 0]);
  assert.deepEqual([...reading.shown(1)], [0.5, 0, 0]);
  assert.equal(reading.place(5), 1);
  assert.equal(reading.place(6), -1);
});

test("sentences are exact", () => {
  const reading = new Reading({ record, arrays });
  const largest = "largest: feature 761 (Domain, any kind) 0.75 → 0.00 at residue 2.";
  assert.equal(
    effectWords(reading, 0.05),
    `A2V: 1 feature changes by more than 0.05 of its maximum; ${largest}`,
  );
  assert.equal(
    residueWords(reading, 2, 0),
    "Residue 2: valine (V, A in the reference); feature 761: 0.75 → 0.00",
  );
  assert.equal(residueWords(reading, 1, 1), "Residue 1: methionine (M); feature 5: 0.50");
  assert.equal(valueWords(reading, reading.rows[1]), "unchanged");
});

test("rows and positions are found where they are drawn", () => {
  const reading = new Reading({ record, arrays });
  for (const width of [300, 900]) {
    const layout = stripLayout(reading, width, 40);
    for (const item of layout.items) assert.equal(itemAt(layout, item.y + item.height / 2), item);
    assert.equal(itemAt(layout, 41), null);
    assert.equal(positionAt(layout, 3, layout.left + layout.width / 2), 2);
    assert.equal(positionAt(layout, 3, layout.right + 1), null);
    assert.ok(layout.height >= layout.items.at(-1).y - 40 + layout.items.at(-1).height);
  }
});

test("the scale of changes is symmetric about none", () => {
  assert.equal(limitOf(0.3), 0.5);
  assert.equal(limitOf(1.4), 1);
  assert.deepEqual(
    [-2, -0.5, 0, 0.5].map((change) => changeStep(change, 0.5)),
    [0, 0, 128, 255],
  );
  assert.deepEqual([-0.501, 0.004, 0.5].map(signed), ["−0.50", "0.00", "+0.50"]);
});

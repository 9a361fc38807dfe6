import assert from "node:assert/strict";
import { test } from "node:test";

import { Asker } from "../steering_panel/asker.js";
import { heatAt, heatLayout } from "../steering_panel/heat.js";
import { logoAt, logosLayout } from "../steering_panel/logos.js";
import { numbersOf, written } from "../steering_panel/numbers.js";
import { probabilityTable } from "../steering_panel/picture.js";
import { Prediction } from "../steering_panel/prediction.js";
import { halves, placeWords, strengthWords } from "../steering_panel/words.js";

const LETTERS = "ACDEFGHIKLMNPQRSTVWY";
const about = {
  groups: [{ letters: "DEKRHSTNQ" }, { letters: "AVLIMFWYCGP" }],
  background: Array(20).fill(0.05),
};

/** Two residues, 2 and 3, of MKV: all on A, moved to C by the feature. */
function predicted() {
  const [unsteered, steered, control] = [0, 0, 0].map(() => new Float32Array(40));
  for (const table of [unsteered, steered, control]) table[0] = table[20] = 1;
  [steered[20], steered[21]] = [0.25, 0.75];
  const record = {
    sequence: "MKV",
    first: 2,
    letters: LETTERS,
    features: [7],
    controls: [9],
    control: "feature",
    positions: [3],
    names: { 7: "Helix", 9: "" },
    sentence: "",
    name: "P1",
    accession: "P1",
  };
  const arrays = { unsteered, steered, control, active: new Float32Array([0, 0.5, 1]) };
  return new Prediction({ record, arrays }, about);
}

test("numbers are read as they are written", () => {
  const numbers = [3, 12, 13, 14, 33];
  assert.deepEqual(numbersOf("12-14, 33 3", "residues"), { numbers, problem: "" });
  assert.deepEqual(numbersOf(" ", "residues"), { numbers: [], problem: "" });
  const { problem } = numbersOf("3, x", "residues");
  assert.match(problem, /^Residues are numbers or ranges.* x is neither/);
  assert.match(numbersOf("9-3", "features").problem, /9-3 is neither/);
  assert.equal(written(numbers), "3, 12-14, 33");
  const many = Array.from({ length: 40 }, (_, i) => (i * 7) % 53).sort((a, b) => a - b);
  assert.deepEqual(numbersOf(written(many), "").numbers, many);
});

test("probabilities, changes and the residue that moves most", () => {
  const one = predicted();
  assert.equal(one.at(3, "C", "steered"), 0.75);
  assert.equal(one.moved(3, "steered"), 0.75);
  assert.deepEqual([one.moved(2, "steered"), one.moved(3, "control")], [0, 0]);
  assert.deepEqual([one.most, one.last, one.limit], [3, 3, 1]);
  const row = one.rows.indexOf("C");
  assert.deepEqual([...one.across(row, "steered", true, 2)], [0, 0.75]);
  assert.deepEqual([...one.across(one.rows.indexOf("A"), "steered", true, 1)], [-0.75]);
  assert.deepEqual(one.best(3, "steered", 1), [{ letter: "C", p: 0.75 }]);
});

test("a column of the logo is as high as its information", () => {
  const [first, second] = predicted().stack(3, "steered");
  const bits = 0.75 * Math.log2(0.75 / 0.05) + 0.25 * Math.log2(0.25 / 0.05);
  assert.equal(first.letter + second.letter, "CA");
  assert.ok(Math.abs(first.bits - 0.75 * bits) < 1e-6);
  assert.ok(Math.abs(second.bits - 0.25 * bits) < 1e-6);
});

test("a point of each heat map is its residue and amino acid", () => {
  for (const width of [320, 700]) {
    const layout = heatLayout(width);
    assert.equal(layout.blocks.length, 4);
    for (const { x, y, which, change } of layout.blocks) {
      assert.ok(x + layout.wide <= width && y + 160 <= layout.height);
      const found = heatAt(layout, 2, x + 0.75 * layout.wide, y + 8 * 3 + 4);
      const { place, row, block } = found;
      assert.deepEqual([place, row, block.which, block.change], [1, 3, which, change]);
    }
    assert.equal(heatAt(layout, 2, 1, 1), null);
  }
});

test("logos show as many residues as fit, around the chosen one", () => {
  const one = predicted();
  const layout = logosLayout(600, one, 3);
  assert.deepEqual([layout.from, layout.columns], [2, 2]);
  assert.deepEqual([logoAt(layout, 30), logoAt(layout, 45), logoAt(layout, 90)], [2, 3, null]);
});

test("words", () => {
  const one = predicted();
  assert.equal(
    placeWords(one, 3, ""),
    "Residue 3 (V): A 1.00, C 0.00 unsteered; C 0.75, A 0.25 steered; A 1.00, C 0.00 control; " +
      "the feature is 1.00 × its maximum here unsteered",
  );
  const said = /cysteine \(C\) 0.00 unsteered, 0.75 steered, 0.00 control/;
  assert.match(placeWords(one, 3, "C"), said);
  assert.match(placeWords(one, 1, ""), /predicts no first residue/);
  assert.deepEqual(halves(one), { steered: "feature 7, Helix", control: "control: feature 9" });
  assert.equal(strengthWords("scale", 2), "2.00 × its value");
  assert.equal(strengthWords("ablate", 2), "0");
  assert.equal(probabilityTable(one).length, 1 + 2 * 20);
});

/** A kernel that answers when it is told to. */
function kernel() {
  const made = {
    none: false,
    state: "idle",
    sent: [],
    ask(question) {
      made.sent.push(question);
      made.state = "asked";
    },
  };
  return made;
}

test("one request is under way, and the newest replaces those that wait", async () => {
  const asked = kernel();
  let strength = 0;
  const asker = new Asker(asked, () => ({ strength }));
  const rest = () => new Promise((done) => setTimeout(done, 5));
  for (strength of [1, 2, 3]) asker.ask(1);
  await rest();
  assert.deepEqual(asked.sent.map(({ settings }) => settings.strength), [3], "at rest, once");
  const first = asked.sent[0].steer;
  for (strength of [4, 5]) {
    asker.ask(1);
    await rest();
  }
  assert.equal(asked.sent.length, 1, "while the kernel works, nothing is queued");
  assert.ok(asker.waiting && !asker.fits(first) && !asker.fits(null));
  asked.state = "idle";
  asker.over();
  assert.deepEqual(asked.sent.map(({ settings }) => settings.strength), [3, 5]);
  assert.ok(asker.fits(asked.sent[1].steer));
  asked.state = "idle";
  asker.over();
  assert.ok(!asker.waiting && asker.fits(null), "then what Python shows is shown");
});

test("a kernel that does not answer is not waited for", async () => {
  const asked = kernel();
  const asker = new Asker(asked, () => ({}));
  asker.ask(0);
  await new Promise((done) => setTimeout(done, 5));
  asked.state = "silent";
  asker.over();
  assert.ok(!asker.waiting);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { brushWords, edgesOf, rowsOf, sharesIn, within } from "../histogram/counts.js";
import { count, fixed, percent } from "../kit/scales.js";

const BINS = 50;

/**
 * Values, and their counts as numpy.histogram has them: a bin holds its lower edge, the last one
 * both.
 */
function sample() {
  let seed = 1;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const edges = edgesOf(1, BINS);
  const values = [...Array.from({ length: 3000 }, random), ...edges.slice(1)];
  const counts = new Uint32Array(BINS);
  const binOf = (/** @type {number} */ value) =>
    value === 1 ? BINS - 1 : edges.findIndex((edge) => edge > value) - 1;
  for (const value of values) counts[binOf(value)]++;
  return { values, edges, counts, binOf };
}

test("the true count lies between those of the bins inside and of the bins touched", () => {
  const { values, edges, counts, binOf } = sample();
  const ends = [0, 0.013, 0.02, 0.2, 0.333, 0.5, 0.98, 0.99, 1];
  for (const low of ends) {
    for (const high of ends.filter((end) => end >= low)) {
      const [least, most] = within(edges, counts, [low, high]);
      const exact = values.filter((value) => value >= low && value <= high).length;
      assert.ok(least <= exact && exact <= most, `${low} to ${high}: ${least}, ${exact}, ${most}`);
      // the lowest activation of a bin that may be in the brush
      const here = [...counts.keys()].map((i) => Math.max(edges[i], low));
      const touched = here.filter(
        (v, i) => v <= high && (v < edges[i + 1] || (v === 1 && i === BINS - 1)),
      );
      assert.equal(
        most,
        touched.reduce((all, v) => all + counts[binOf(v)], 0),
      );
    }
  }
});

test("a brush of whole bins up to the end is exact", () => {
  const { values, edges, counts } = sample();
  for (const low of [0, 0.5, 0.58, 0.98]) {
    const exact = values.filter((value) => value >= low).length;
    assert.deepEqual(within(edges, counts, [low, 1]), [exact, exact]);
    assert.deepEqual(within(edges, counts, [low, 2]), [exact, exact]); // beyond the axis
  }
});

test("the edges end at the largest activation, exactly", () => {
  const top = Math.fround(1.2345);
  assert.equal(edgesOf(top, 50)[50], top);
  assert.equal(edgesOf(1, 50)[29], 0.58);
});

test("shares are those of a slow count, and lie within their bounds where a bin is cut", () => {
  const { values, edges, counts, binOf } = sample();
  const silent = Array.from({ length: 900 }, (_, i) => i % 9 === 0); // whether it carries
  const carries = values.map((value, i) => i % 3 === 0 || value > 0.7);
  const annotated = new Uint32Array(BINS);
  values.forEach((value, i) => (annotated[binOf(value)] += Number(carries[i])));
  const zero = { total: silent.length, annotated: silent.filter(Boolean).length };
  const ends = [0, 0.013, 0.2, 0.333, 0.5, 0.69, 0.98, 1];
  let cut = 0;
  for (const low of ends) {
    for (const high of ends.filter((end) => end > low)) {
      const inside = values.map((value) => value >= low && value <= high);
      const of = (/** @type {boolean} */ here) => carries.filter((_, i) => inside[i] === here);
      const others = [...of(false), ...silent];
      const share = (/** @type {boolean[]} */ all) => all.filter(Boolean).length / all.length;
      const found = sharesIn(edges, { total: counts, annotated, zero }, [low, high]);
      for (const [bounds, exact] of /** @type {[number[], number][]} */ ([
        [found.share, share(of(true))],
        [found.others, share(others)],
      ])) {
        assert.ok(bounds[0] <= exact && exact <= bounds[1], `${low} to ${high}: ${bounds}`);
        if (found.held[0] === found.held[1]) assert.deepEqual(bounds, [exact, exact]);
        else cut++;
      }
    }
  }
  assert.ok(cut > 10);
});

test("words say which share carries the concept, and whether the count is exact", () => {
  const kit = { count, fixed, percent };
  const edges = [0, 0.5, 1];
  const counts = {
    total: [1200, 30],
    annotated: [60, 27],
    zero: { total: 770, annotated: 13 },
  };
  const said = (/** @type {number[]} */ brush, concept = "Helix") =>
    brushWords(kit, edges, counts, { brush, what: "active residues", concept });
  assert.equal(
    said([0.5, 1]),
    "Brushed 0.50 to 1.00: 30 of 1,230 active residues. 90 % of these (27 of 30) carry Helix, " +
      "and 3.7 % of the others (73 of 1,970).",
  );
  assert.equal(
    said([0.4, 1]),
    "Brushed 0.40 to 1.00, which cuts bins: between 30 and 1,230 of 1,230 active residues. " +
      "2.3 % to 97 % of these (between 27 and 87) carry Helix, and 0.68 % to 8.8 % of the others.",
  );
  assert.equal(
    said([]),
    "1,230 active residues. 7.1 % of these (87 of 1,230) carry Helix, " +
      "and 1.7 % of the others (13 of 770).",
  );
  const none = "Brushed 0.50 to 1.00: 30 of 1,230 active residues. ";
  assert.equal(said([0.5, 1], ""), `${none}The feature matches no concept.`);
  const bare = { ...counts, annotated: null };
  const what = { brush: [0.5, 1], what: "active residues", concept: "Helix" };
  assert.equal(
    brushWords(kit, edges, bare, what),
    `${none}These proteins have no annotations to compare with.`,
  );
  assert.equal(said([1.5, 2]), "Brushed 1.50 to 2.00: 0 of 1,230 active residues.");
});

test("the table has the silent first, and no annotation column without annotations", () => {
  const head = ["lower", "upper", "total", "annotated"];
  const annotated = { total: [3, 4], annotated: [1, 2], zero: { total: 9, annotated: 5 } };
  assert.deepEqual(rowsOf([0, 0.5, 1], annotated), [
    head,
    [0, 0, 9, 5],
    [0, 0.5, 3, 1],
    [0.5, 1, 4, 2],
  ]);
  const alone = { total: [3, 4], annotated: null, zero: { total: 9, annotated: null } };
  assert.deepEqual(rowsOf([0, 0.5, 1], alone), [
    head,
    [0, 0, 9, null],
    [0, 0.5, 3, null],
    [0.5, 1, 4, null],
  ]);
});

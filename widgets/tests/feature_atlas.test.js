import assert from "node:assert/strict";
import { test } from "node:test";
import { Camera } from "../feature_atlas/camera.js";
import { colouring, contrast, layered } from "../feature_atlas/colouring.js";
import { noteOn } from "../feature_atlas/legend.js";
import { Grid, Points, inside, toward } from "../feature_atlas/points.js";
import { over } from "../kit/dots.js";

/** Numbers that look random, the same each time. @param {number} seed */
function* numbers(seed) {
  for (let state = seed; ; state = (state * 48271) % 2147483647) yield state / 2147483647;
}

/** @param {number} n @param {number} seed */
function scattered(n, seed) {
  const next = numbers(seed);
  const take = () =>
    Float32Array.from({ length: n }, () => 2 * /** @type {number} */ (next.next().value) ** 2 - 1);
  return { x: take(), y: take() };
}

/**
 * The nearest of all, by looking at all.
 * @param {{ x: Float32Array, y: Float32Array }} points
 * @param {number} x
 * @param {number} y
 * @param {number} within
 */
function nearestOfAll(points, x, y, within) {
  const away = Array.from(points.x, (_, i) => Math.hypot(points.x[i] - x, points.y[i] - y));
  const least = Math.min(...away, Infinity);
  return least <= within ? away.indexOf(least) : -1;
}

for (const n of [0, 1, 2, 500]) {
  test(`the grid finds what a look at all ${n} points finds`, () => {
    const points = scattered(n, n + 7);
    const grid = new Grid(points.x, points.y);
    const asked = scattered(300, 11);
    for (let i = 0; i < 300; i++) {
      const [x, y] = [1.3 * asked.x[i], 1.3 * asked.y[i]];
      for (const within of [0.001, 0.05, 3, Infinity]) {
        assert.equal(grid.nearest(x, y, within), nearestOfAll(points, x, y, within));
      }
    }
  });
}

test("points on one line, and points that coincide, have a grid too", () => {
  const line = new Grid(Float32Array.of(0, 1, 2, 3), Float32Array.of(5, 5, 5, 5));
  assert.equal(line.nearest(2.2, 5, 1), 2);
  assert.equal(new Grid(Float32Array.of(4, 4), Float32Array.of(5, 5)).nearest(4, 5, 0), 1);
});

const TABLE = {
  record: { concept: ["A_any", "B_any"], category: ["A", "B"] },
  arrays: {
    feature: Int32Array.of(0, 1, 2, 3, 4),
    x: Float32Array.of(0, NaN, 1, 0, -1),
    y: Float32Array.of(0, NaN, 0.2, 1, -1),
    cluster: Int32Array.of(0, -1, 1, 0, -1),
    concept: Int32Array.of(1, -1, 0, 1, -1),
    category: Int32Array.of(1, -1, 0, 1, -1),
    density: Float32Array.of(0.1, NaN, 0.02, 0.001, 0.1),
    f1_per_domain: Float32Array.of(0.5, NaN, 0, 1, NaN),
  },
};

test("features without coordinates are not on the map", () => {
  const points = new Points(TABLE);
  assert.equal(points.n, 4);
  assert.equal(points.nFeatures, 5);
  assert.deepEqual([...points.feature], [0, 2, 3, 4]);
  assert.deepEqual(
    [0, 1, 2].map((feature) => points.place(feature)),
    [0, -1, 1],
  );
  assert.deepEqual(
    [0, 3].map((i) => points.conceptOf(i)),
    ["B_any", ""],
  );
});

test("arrows lead to the nearest point ahead, or nowhere", () => {
  const points = new Points(TABLE);
  const from = { x: 0, y: 0 };
  assert.equal(points.feature[toward(points, from, [1, 0])], 2);
  assert.equal(points.feature[toward(points, from, [0, 1])], 3);
  assert.equal(points.feature[toward(points, from, [-1, 0])], 4); // at 45 degrees
  assert.equal(toward(points, { x: 1, y: 0.2 }, [1, 0]), -1);
});

test("a lasso holds what is inside, also in a hollow of its shape", () => {
  const points = { x: Float32Array.of(0.5, 2, 3.5, 2), y: Float32Array.of(2, 0.5, 2, 3) };
  const cup = [
    [0, 0],
    [4, 0],
    [4, 4],
    [3, 4],
    [3, 1],
    [1, 1],
    [1, 4],
    [0, 4],
  ];
  assert.deepEqual(inside(points, cup), [0, 1, 2]);
  assert.deepEqual(inside(points, [[0, 0]]), []);
});

test("the camera goes to the picture and back, and zooms where the pointer is", () => {
  const camera = new Camera([-1, -0.5, 1, 0.5]);
  camera.resize(436, 300);
  assert.equal(camera.scale, 200);
  assert.deepEqual([camera.toX(-1), camera.toY(0.5)], [18, 50]);
  const at = { x: 118, y: 100 };
  assert.deepEqual(camera.from(at), { x: -0.5, y: 0.25 });
  camera.zoomBy(3, at);
  assert.ok(Math.abs(camera.toX(-0.5) - 118) < 1e-9 && Math.abs(camera.toY(0.25) - 100) < 1e-9);
  assert.equal(camera.shows(1, 0), false);
  camera.look(1, 0);
  assert.equal(camera.shows(1, 0), true);
  camera.pan(-1e6, 0);
  assert.equal(camera.x, 1); // the middle stays on the map
  camera.zoomBy(1e-6);
  assert.deepEqual([camera.zoom, camera.x, camera.y], [1, 0, 0]);
});

test("a map of one point has a scale", () => {
  const camera = new Camera([2, 3, 2, 3]);
  camera.resize(300, 200);
  assert.deepEqual([camera.toX(2), camera.toY(3)], [150, 100]);
});

/** @type {any} */
const theme = {
  dark: false,
  ground: "rgb(255,255,255)",
  muted: "#565656",
  line: "#c4c4c4",
  lut: { css: Array.from({ length: 256 }, (_, i) => `rgb(${i},${i},${i})`) },
};

test("groups are sorted by size, the hollow one last", () => {
  const points = new Points(TABLE);
  const { groups, kinds, styles } = colouring(
    points,
    "category",
    theme,
    { A: "#0072b2", B: "#d55e00" },
    [],
  );
  assert.deepEqual(
    groups?.map(({ name, fill, points }) => [name, fill, points]),
    [
      ["B", "#d55e00", [0, 2]],
      ["A", "#0072b2", [1]],
      ["no concept", "", [3]],
    ],
  );
  assert.deepEqual(
    Array.from(kinds, (kind) => styles[kind].fill),
    ["#d55e00", "#0072b2", "#d55e00", ""],
  );
});

test("density has a log scale, F1 a scale from 0 to 1; a missing F1 is hollow, 0 is not", () => {
  const points = new Points(TABLE);
  const density = colouring(points, "density", theme, {}, []);
  assert.deepEqual(Array.from(density.kinds), [64, 42, 1, 64]);
  const f1 = colouring(points, "f1", theme, {}, []);
  assert.deepEqual(Array.from(f1.kinds), [33, 1, 64, 0]);
});

test("what is not listed is faded and below; hollow points are below full ones", () => {
  const coloured = colouring(
    new Points(TABLE),
    "category",
    theme,
    { A: "#0072b2", B: "#d55e00" },
    [],
  );
  assert.deepEqual(Array.from(layered(coloured, null).order), [3, 0, 1, 2]);
  const { order, kinds } = layered(coloured, new Set([0, 3]));
  assert.deepEqual(Array.from(order), [1, 2, 3, 0]);
  assert.deepEqual(
    Array.from(kinds, (kind) => coloured.styles[kind].opacity < 0.5),
    [false, true, true, false],
  );
});

test("one colour over another, as a canvas blends them", () => {
  assert.equal(over(0xff112233, 0xff445566), 0xff112233);
  assert.equal(over(0x80000000, 0xffffffff), 0xff7f7f7f);
  assert.equal(over(0x800000ff, 0x00ffffff), 0x800000ff);
});

test("contrast is that of WCAG", () => {
  assert.equal(contrast("#ffffff", "rgb(0, 0, 0)"), 21);
  assert.equal(contrast("#777777", "#777777"), 1);
});

test("grey is for categories beyond the palette; clusters that share a colour are named", () => {
  const group = (/** @type {string} */ fill) => ({ name: "", fill, points: [] });
  assert.equal(
    noteOn(["#0072b2", "#8a8a8a"].map(group)),
    "Grey: more categories than there are colours.",
  );
  assert.match(noteOn(["#0072b2", "#0072b2"].map(group)), /^Colours repeat/);
  assert.equal(noteOn(["#0072b2", "#d55e00"].map(group)), "");
});

test("without clusters, which are absent where they do not recur, there is a map", () => {
  const { cluster: _, ...arrays } = TABLE.arrays;
  const points = new Points({ ...TABLE, arrays });
  assert.equal(points.cluster, null);
  const groups = (/** @type {Points} */ of, /** @type {string} */ way) =>
    colouring(of, way, theme, {}, ["#0072b2", "#d55e00"]).groups?.map(({ name }) => name);
  assert.deepEqual(groups(points, "category"), ["B", "A", "no concept"]);
  assert.deepEqual(groups(new Points(TABLE), "cluster"), ["cluster 0", "cluster 1", "no cluster"]);
  const named = colouring(new Points(TABLE), "cluster", theme, {}, [], { 1: "Zinc finger" });
  const names = named.groups?.map(({ name }) => name);
  assert.deepEqual(names, ["cluster 0", "cluster 1: Zinc finger", "no cluster"]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { count, decades, fixed, percent, short, ticks } from "../kit/scales.js";

test("ticks are round, evenly spaced, and within the range", () => {
  assert.deepEqual(ticks(0, 1, 5), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(ticks(0, 3, 4), [0, 1, 2, 3]);
  assert.deepEqual(ticks(-0.3, 0.3, 3), [-0.2, 0, 0.2]);
  assert.deepEqual(ticks(1017, 1999, 4), [1500]);
  for (const [low, high, n] of [
    [0, 1.237, 5],
    [0, 4711, 4],
    [3e-5, 9e-5, 5],
    [12, 1013, 7],
    [0, 6, 4],
  ]) {
    const found = ticks(low, high, n);
    const step = found.length > 1 ? found[1] - found[0] : high - low;
    assert.ok(
      found.every((value) => value >= low - 1e-9 && value <= high + 1e-9),
      String(found),
    );
    assert.ok(
      found.every((value, i) => !i || Math.abs(value - found[i - 1] - step) < 1e-9 * high),
      String(found),
    );
    assert.ok(found.length <= n + 1, String(found));
  }
});

test("a range without width has one tick", () => {
  assert.deepEqual(ticks(2, 2), [2]);
  assert.deepEqual(ticks(3, 1), [3]);
});

test("decades reach the largest count", () => {
  assert.deepEqual(decades(1), [1, 10]);
  assert.deepEqual(decades(1000), [1, 10, 100, 1000]);
  assert.deepEqual(decades(1001), [1, 10, 100, 1000, 10000]);
  assert.deepEqual(decades(0), [1, 10]);
});

test("numbers as people read them", () => {
  assert.equal(count(1234567.4), "1,234,567");
  assert.deepEqual([999, 1000, 12345, 3.4e6, 2e9].map(short), ["999", "1k", "12.3k", "3.4M", "2G"]);
  assert.deepEqual([fixed(0.125, 2), fixed(1, 1)], ["0.13", "1.0"]);
  assert.deepEqual([fixed(-0.004), fixed(-0.006)], ["0.00", "-0.01"]);
  assert.deepEqual(
    [NaN, null, undefined].map((value) => fixed(value)),
    ["–", "–", "–"],
  );
  assert.deepEqual(
    [percent(0.0123), percent(1), percent(0.666), percent(0)],
    ["1.2 %", "100 %", "67 %", "0 %"],
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { inBrush, luminance, lutOf, rgbOf, stepOf } from "../kit/colours.js";

const SCALE = ["#e6e6e6", "#7daed3", "#051f4d"];
const contrast = (a, b) => {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};

test("the scale has its stops at their places", () => {
  const lut = lutOf(SCALE);
  assert.equal(lut.css.length, 256);
  assert.equal(lut.css[0], "rgb(230,230,230)");
  assert.equal(lut.css[255], "rgb(5,31,77)");
  for (const i of [0, 100, 200, 255])
    assert.equal(lut.css[i], `rgb(${lut.rgb.slice(3 * i, 3 * i + 3).join(",")})`);
  const middle = lut.rgb.slice(3 * 127, 3 * 127 + 3);
  rgbOf(SCALE[1]).forEach((value, c) => assert.ok(Math.abs(middle[c] - value) <= 1));
});

test("letters on the scale can be read everywhere", () => {
  const lut = lutOf(SCALE);
  lut.text.forEach((hex, i) =>
    assert.ok(
      contrast(rgbOf(hex), Array.from(lut.rgb.slice(3 * i, 3 * i + 3))) >= 4.3,
      `step ${i}`,
    ),
  );
});

test("luminance is that of WCAG", () => {
  assert.equal(luminance([0, 0, 0]), 0);
  assert.ok(Math.abs(luminance([255, 255, 255]) - 1) < 1e-12);
  // the grey that is just enough
  assert.ok(Math.abs(contrast(rgbOf("#767676"), rgbOf("#ffffff")) - 4.54) < 0.01);
});

test("activations below 0 and above 1 stay at the ends", () => {
  assert.deepEqual([-1, 0, 0.5, 1, 1.3].map(stepOf), [0, 0, 128, 255, 255]);
});

test("a brush holds both its ends; none holds everything", () => {
  assert.deepEqual(
    [0.19, 0.2, 0.5, 0.8, 0.81].map((value) => inBrush([0.2, 0.8], value)),
    [false, true, true, true, false],
  );
  assert.ok(inBrush([], 7));
});

// @ts-check
// The picture of a logo.

import { linesOf } from "../kit/lines.js";
import { LEFT, STACK, SWATCH, numberStep, placeOf } from "./layout.js";

/** @import { Kit, Surface, Theme } from "../kit/types.js" */

// points; lower letters are drawn as bars of their colour, so that a stack keeps its height
const READABLE = 2;

/**
 * @typedef {object} Scene
 * @property {import("./layout.js").Layout} layout
 * @property {import("./weights.js").Weights} weights
 * @property {number[][]} stacks letters of each column, most frequent first
 * @property {string} letters
 * @property {string[]} colours of each letter
 * @property {Record<string, string>} legend colour by entry
 * @property {(column: number) => number} numbered
 * @property {(column: number) => string} label
 * @property {string} axis
 * @property {string} caption
 * @property {string} lacking
 * @property {number} top of the axis, bits
 * @property {number | null} pointed
 * @property {number | null} selected
 * @property {import("../kit/lines.js").Measure} measure
 * @property {string[]} words of the column, where it is pointed at here
 */

/**
 * @param {Surface} surface
 * @param {number} width
 * @param {Theme} theme
 * @param {Kit} kit
 * @param {Scene} scene
 */
export function drawLogo(surface, width, theme, kit, scene) {
  drawLegend(surface, theme, scene);
  for (let line = 0; line < scene.layout.lines; line++) drawAxis(surface, theme, kit, scene, line);
  drawMarks(surface, theme, scene);
  if (scene.lacking) drawLacking(surface, width, theme, scene);
  else
    scene.stacks.forEach((stack, column) => drawColumn(surface, theme, kit, scene, column, stack));
  drawNumbers(surface, theme, scene);
  drawCaption(surface, width, theme, scene);
  if (scene.pointed !== null && scene.words.length)
    drawLabel(surface, width, theme, scene, scene.pointed);
}

/** @param {Surface} surface @param {Theme} theme @param {Scene} scene */
function drawLegend(surface, theme, { layout, legend, measure }) {
  layout.legend.forEach((row, i) => {
    let x = LEFT;
    for (const entry of row) {
      surface.rect(x, 14 * i + 3, 9, 9, legend[entry]);
      surface.text(x + SWATCH, 14 * i + 8, entry, { fill: theme.text, size: 10.5 });
      x += measure(entry) + SWATCH + 13;
    }
  });
}

/**
 * @param {Surface} surface
 * @param {Theme} theme
 * @param {Kit} kit
 * @param {Scene} scene
 * @param {number} line
 */
function drawAxis(surface, theme, kit, { layout, top }, line) {
  const { base } = placeOf(layout, line * layout.perLine);
  const end = LEFT + layout.perLine * layout.column;
  for (const bits of kit.ticks(0, top, 4)) {
    const y = base - (bits / top) * STACK;
    surface.line(LEFT, y, end, y, bits ? theme.line : theme.muted, bits ? 0.5 : 1);
    surface.text(LEFT - 5, y, String(bits), { fill: theme.muted, size: 10, align: "right" });
  }
  surface.text(12, base - STACK / 2, "bits", {
    fill: theme.text,
    size: 10.5,
    align: "center",
    turn: -90,
  });
}

/**
 * The column under the pointer, here or in another view, and that of the selected residue.
 * @param {Surface} surface @param {Theme} theme @param {Scene} scene
 */
function drawMarks(surface, theme, { layout, pointed, selected }) {
  if (pointed !== null) {
    const { x, base } = placeOf(layout, pointed);
    surface.rect(x, base - STACK, layout.column, STACK, theme.muted, 0.22);
  }
  if (selected !== null) {
    const { x, base } = placeOf(layout, selected);
    surface.frame(x, base - STACK, layout.column, STACK, theme.accent, 1.5);
  }
}

/**
 * A stack; one that is taller than the axis is shortened to it, with a break and its bits.
 * @param {Surface} surface @param {Theme} theme @param {Kit} kit @param {Scene} scene
 * @param {number} column @param {number[]} stack
 */
function drawColumn(surface, theme, kit, scene, column, stack) {
  const bits = scene.weights.information[column];
  drawStack(surface, scene, column, stack);
  if (bits <= scene.top) return;
  const { x, base } = placeOf(scene.layout, column);
  const { column: wide } = scene.layout;
  surface.line(
    x - 2,
    base - 0.24 * STACK + 3,
    x + wide + 2,
    base - 0.24 * STACK - 3,
    theme.ground,
    3.5,
  );
  const style = {
    fill: theme.text,
    size: 10,
    align: /** @type {"center"} */ ("center"),
    weight: 600,
  };
  surface.text(x + wide / 2, base - STACK - 7, `${kit.fixed(bits, 1)} bits`, style);
}

/**
 * The most frequent letter on top.
 * @param {Surface} surface @param {Scene} scene @param {number} column @param {number[]} stack
 */
function drawStack(surface, { layout, weights, letters, colours, top }, column, stack) {
  const { x, base } = placeOf(layout, column);
  const scale = Math.min(1, weights.information[column] / top) * STACK;
  if (!scale) return;
  const [from, wide] = [x + 0.5, layout.column - 1];
  let y = base;
  for (let i = stack.length - 1; i >= 0; i--) {
    const letter = letters[stack[i]];
    const h = weights.frequencies[column * letters.length + stack[i]] * scale;
    y -= h;
    if (h < READABLE) surface.rect(from, y, wide, h, colours[stack[i]]);
    else if (letter !== "I") surface.glyph(letter, from, y, wide, h, colours[stack[i]]);
    // stretched, it would be a bar
    else surface.glyph(letter, from + 0.3 * wide, y, 0.4 * wide, h, colours[stack[i]]);
  }
}

/** @param {Surface} surface @param {Theme} theme @param {Scene} scene */
function drawNumbers(surface, theme, { layout, weights, label, numbered, axis, measure }) {
  const longest = Math.max(measure(label(0)), measure(label(weights.columns - 1)));
  const step = numberStep(layout.column, longest);
  for (let column = 0; column < weights.columns; column++) {
    if (numbered(column) % step) continue;
    const { x, base } = placeOf(layout, column);
    surface.text(x + layout.column / 2, base + 9, label(column), {
      fill: theme.muted,
      size: 10,
      align: "center",
    });
  }
  const middle = LEFT + (layout.perLine * layout.column) / 2;
  surface.text(middle, layout.captionTop - 14, axis, {
    fill: theme.text,
    size: 10.5,
    align: "center",
  });
}

/** @param {Surface} surface @param {number} width @param {Theme} theme @param {Scene} scene */
function drawCaption(surface, width, theme, { layout, caption, measure }) {
  const style = { fill: theme.muted, size: 10.5 };
  linesOf(caption, width, measure).forEach((text, i) =>
    surface.text(6, layout.captionTop + 14 * i + 5, text, style),
  );
}

/** @param {Surface} surface @param {number} width @param {Theme} theme @param {Scene} scene */
function drawLacking(surface, width, theme, { layout, lacking, measure }) {
  const lines = linesOf(lacking, width - LEFT - 20, measure);
  const top = layout.top + STACK / 2 - 7 * (lines.length - 1);
  const style = { fill: theme.text, size: 11, align: /** @type {"center"} */ ("center") };
  lines.forEach((text, i) => surface.text((LEFT + width) / 2, top + 14 * i, text, style));
}

/**
 * @param {Surface} surface
 * @param {number} width
 * @param {Theme} theme
 * @param {Scene} scene
 * @param {number} column
 */
function drawLabel(surface, width, theme, { layout, words, measure }, column) {
  const { x, base } = placeOf(layout, column);
  const size = 1.08 * Math.max(...words.map(measure)) + 14; // the first is bold
  const right = x + layout.column + 4;
  const left = right + size <= width - 2 ? right : Math.max(2, x - size - 4);
  const top = base - STACK + 2;
  surface.rect(left, top, size, 14 * words.length + 6, theme.ground, 0.94);
  surface.frame(left, top, size, 14 * words.length + 6, theme.muted, 1);
  const style = (/** @type {number} */ i) => ({
    fill: theme.text,
    size: 10.5,
    weight: i ? 400 : 600,
  });
  words.forEach((text, i) => surface.text(left + 7, top + 10 + 14 * i, text, style(i)));
}

// @ts-check
// Heat maps, residues x amino acids: probabilities, and what changes; a feature and its control in
// the same colours.

import { changeBar, changeStep } from "../kit/changes.js";
import { stepOf } from "../kit/colours.js";
import { ticks } from "../kit/scales.js";

/** @import { Kit, Lut, Surface, Theme } from "../kit/types.js" */
/** @import { Prediction, Which } from "./prediction.js" */

const LETTERS = 18;
const ROW = 8;
const TITLE = 18;
const AXIS = 18;
const GAP = 12;
const BARS = 22;
const ROWS = 20;
const SIDE_BY_SIDE = 460; // points of width from which feature and control are next to each other

/**
 * @typedef {object} Block one heat map
 * @property {Which} which
 * @property {boolean} change
 * @property {number} x @property {number} y of its cells
 */
/**
 * @typedef {object} HeatLayout
 * @property {number} width
 * @property {number} top
 * @property {number} wide of the cells of a block
 * @property {number} height
 * @property {Block[]} blocks
 * @property {boolean} beside feature and control are next to each other
 */

/** @param {number} width points @param {number} [top] @returns {HeatLayout} */
export function heatLayout(width, top = 0) {
  const beside = width >= SIDE_BY_SIDE;
  const columns = beside ? 2 : 1;
  const room = width - 1 - columns * LETTERS - (columns - 1) * GAP;
  const wide = Math.max(40, Math.floor(room / columns));
  const step = TITLE + ROWS * ROW + AXIS;
  /** @type {Block[]} */
  const blocks = [];
  /** @type {[Which, number][]} */
  const pair = [
    ["steered", 0],
    ["control", 1],
  ];
  for (const [which, column] of pair)
    for (const change of [false, true]) {
      const line = beside ? Number(change) : 2 * column + Number(change);
      const x = LETTERS + (beside ? column * (wide + LETTERS + GAP) : 0);
      blocks.push({ which, change, x, y: top + line * step + TITLE });
    }
  return { width, top, wide, height: (beside ? 2 : 4) * step + BARS, blocks, beside };
}

/**
 * @param {HeatLayout} layout @param {number} n residues @param {number} x @param {number} y
 * @returns {{ place: number, row: number, block: Block } | null} place and row from 0
 */
export function heatAt(layout, n, x, y) {
  const block = layout.blocks.find(
    (b) => x >= b.x && x < b.x + layout.wide && y >= b.y && y < b.y + ROWS * ROW,
  );
  if (!block) return null;
  const place = Math.min(n - 1, Math.floor(((x - block.x) / layout.wide) * n));
  return { place, row: Math.floor((y - block.y) / ROW), block };
}

/**
 * @typedef {object} HeatScene
 * @property {HeatLayout} layout
 * @property {Prediction} prediction
 * @property {Lut} change colours of changes
 * @property {number | null} chosen residue
 * @property {number | null} hovered residue
 * @property {number} row that keys or pointer are on, or -1
 * @property {{ steered: string, control: string }} names
 */

/** @param {Surface} surface @param {Theme} theme @param {Kit} kit @param {HeatScene} scene */
export function drawHeat(surface, theme, kit, scene) {
  const { layout } = scene;
  for (const block of layout.blocks) drawBlock(surface, theme, kit, scene, block);
  const y = layout.top + layout.height - BARS + 6;
  const bar = Math.max(24, Math.min(90, (layout.width - 230) / 2));
  surface.text(0, y + 5, "0", { fill: theme.text, size: 10.5 });
  for (let i = 0; i < bar; i++)
    surface.rect(10 + i, y, 1.5, 10, theme.lut.css[stepOf(i / (bar - 1))]);
  surface.frame(10, y, bar, 10, theme.line);
  surface.text(bar + 15, y + 5, "1 probability", { fill: theme.text, size: 10.5 });
  const from = bar + 92;
  changeBar(surface, theme, scene.change, scene.prediction.limit, from, y, bar, "change");
}

/**
 * @param {Surface} surface @param {Theme} theme @param {Kit} kit @param {HeatScene} scene
 * @param {Block} block
 */
function drawBlock(surface, theme, kit, scene, block) {
  const { layout, prediction } = scene;
  const { wide } = layout;
  const height = ROWS * ROW;
  const what = block.change ? "change" : "probability";
  const title = `${what}: ${block.which === "steered" ? scene.names.steered : scene.names.control}`;
  surface.text(block.x, block.y - 9, kit.fitted(title, wide, 11, block.change ? 400 : 600), {
    fill: theme.text,
    size: 11,
    weight: block.change ? 400 : 600,
  });
  const cells = Math.min(prediction.n, wide);
  surface.image(block.x, block.y, wide, height, pixels(scene, block, theme, cells), cells, ROWS);
  surface.frame(block.x, block.y, wide, height, theme.line);
  prediction.rows.forEach((letter, row) => {
    const isHere = row === scene.row;
    surface.text(block.x - 5, block.y + (row + 0.5) * ROW, letter, {
      fill: isHere ? theme.accent : theme.muted,
      size: 8.5,
      align: "right",
      mono: true,
      weight: isHere ? 700 : 400,
    });
  });
  drawPlaces(surface, theme, scene, block);
}

/**
 * Numbers of residues, those that are changed, the one that is chosen.
 * @param {Surface} surface @param {Theme} theme @param {HeatScene} scene @param {Block} block
 */
function drawPlaces(surface, theme, { layout, prediction, chosen, hovered, row }, block) {
  const { first, n, last } = prediction;
  const height = ROWS * ROW;
  const each = layout.wide / n;
  const left = (/** @type {number} */ position) => block.x + (position - first) * each;
  const bottom = block.y + height;
  for (const position of ticks(first, last, Math.max(2, Math.floor(layout.wide / 60)))) {
    surface.text(left(position) + each / 2, bottom + 9, String(position), {
      fill: theme.muted,
      size: 10,
      align: "center",
    });
  }
  for (const position of prediction.record.positions)
    if (position >= first && position <= last)
      surface.rect(left(position), bottom + 1, Math.max(1.5, each), 3, theme.accent);
  const mark = (/** @type {number} */ position, /** @type {string} */ stroke) => {
    if (position < first || position > last) return;
    const x = left(position);
    surface.frame(x - 0.5, block.y, Math.max(3, each) + 1, height, stroke, 1);
    if (row < 0) return;
    surface.frame(x - 1, block.y + row * ROW, Math.max(4, each + 2), ROW, stroke, 1.5);
  };
  if (hovered !== null && hovered !== chosen) mark(hovered, theme.muted);
  if (chosen !== null) mark(chosen, theme.accent);
}

/**
 * @param {HeatScene} scene @param {Block} block @param {Theme} theme @param {number} cells
 * @returns {Uint8ClampedArray} rgba of cells x 20
 */
function pixels({ prediction, change }, block, theme, cells) {
  const rgba = new Uint8ClampedArray(cells * ROWS * 4);
  const lut = block.change ? change : theme.lut;
  for (let row = 0; row < ROWS; row++)
    prediction.across(row, block.which, block.change, cells).forEach((value, cell) => {
      const step = block.change ? changeStep(value, prediction.limit) : stepOf(value);
      const at = 4 * (row * cells + cell);
      rgba.set(lut.rgb.subarray(3 * step, 3 * step + 3), at);
      rgba[at + 3] = 255;
    });
  return rgba;
}

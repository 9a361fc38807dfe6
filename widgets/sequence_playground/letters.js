// @ts-check
// The sequence as letters in groups of ten, wrapped at the width, each on the colour of its
// activation.

/** @import { Kit, Surface, Theme } from "../kit/types.js" */

const CELL = 11;
const GAP = 8;
const LINE = 38;
const NUMBERS = 13; // height of the row of numbers
const BOX = 19;
const MOST_GROUPS = 10;
const FOOT = 22;

/**
 * @typedef {object} LetterLayout
 * @property {number} top
 * @property {number} perLine
 * @property {number} lines
 * @property {number} length
 * @property {number} height
 * @property {number} line
 */

/**
 * @param {number} width points
 * @param {number} length residues
 * @param {number} [top]
 * @returns {LetterLayout}
 */
export function letterLayout(width, length, top = 0) {
  const groups = Math.max(
    1,
    Math.min(MOST_GROUPS, Math.floor((width + GAP - 4) / (10 * CELL + GAP))),
  );
  const lines = Math.max(1, Math.ceil(length / (10 * groups)));
  return { top, perLine: 10 * groups, lines, length, height: lines * LINE + FOOT, line: LINE };
}

/** Left and top of a letter's box. @param {LetterLayout} layout @param {number} i from 0 */
export function letterPlace({ top, perLine }, i) {
  const column = i % perLine;
  return {
    x: 2 + column * CELL + Math.floor(column / 10) * GAP,
    y: top + Math.floor(i / perLine) * LINE + NUMBERS,
  };
}

/**
 * The position (from 1) at a point, or null.
 * @param {LetterLayout} layout
 * @param {number} x
 * @param {number} y
 */
export function letterAt({ top, perLine, lines, length }, x, y) {
  const line = Math.floor((y - top) / LINE);
  const group = Math.floor((x - 2 + GAP / 2) / (10 * CELL + GAP));
  const column = Math.floor((x - 2 - group * (10 * CELL + GAP)) / CELL);
  if (line < 0 || line >= lines || group < 0 || group * 10 >= perLine) return null;
  const position = line * perLine + group * 10 + Math.max(0, Math.min(9, column)) + 1;
  return position <= length ? position : null;
}

/**
 * @typedef {object} Lettered
 * @property {LetterLayout} layout
 * @property {string} letters
 * @property {Float32Array | null} values of the selected feature; null: unknown
 * @property {number[]} brush
 * @property {number[]} changed positions of substitutions
 * @property {number | null} chosen
 * @property {number | null} hovered
 */

/**
 * @param {Surface} surface
 * @param {Theme} theme
 * @param {Kit} kit
 * @param {Lettered} what @param {number} width
 */
export function drawLetters(surface, theme, kit, what, width) {
  const { layout, letters } = what;
  for (let first = 0; first < letters.length; first += 10) grounds(surface, theme, what, first);
  for (let i = 0; i < letters.length; i++) letter(surface, theme, kit, what, i);
  for (const position of what.changed) underline(surface, theme, layout, position);
  if (what.hovered) boxed(surface, layout, what.hovered, theme.text, 1);
  if (what.chosen) boxed(surface, layout, what.chosen, theme.accent, 2);
  const bar = layout.top + layout.lines * LINE + 4;
  kit.colourBar(surface, theme, 2, bar, {
    width: Math.min(120, Math.max(40, width - 215)),
    brush: what.brush,
  });
}

/**
 * The ground of ten residues and the number of the last.
 * @param {Surface} surface @param {Theme} theme @param {Lettered} what @param {number} first
 */
function grounds(surface, theme, { layout, letters, values }, first) {
  const n = Math.min(10, letters.length - first);
  const { x, y } = letterPlace(layout, first);
  if (values) surface.rect(x, y, n * CELL, BOX, theme.lut.css[0]);
  else surface.hatch(x, y, n * CELL, BOX, theme.line);
  if (n === 10)
    surface.text(x + 10 * CELL - 1, y - 6, String(first + 10), {
      fill: theme.muted,
      size: 9.5,
      align: "right",
    });
}

/**
 * @param {Surface} surface
 * @param {Theme} theme
 * @param {Kit} kit
 * @param {Lettered} what
 * @param {number} i
 */
function letter(surface, theme, kit, { layout, letters, values, brush }, i) {
  const { x, y } = letterPlace(layout, i);
  const value = values ? values[i] : 0;
  const inside = brush.length === 0 || (value > 0 && kit.inBrush(brush, value));
  const step = inside ? kit.stepOf(value) : 0;
  if (step > 0) surface.rect(x, y, CELL, BOX, theme.lut.css[step]);
  const fill = !values ? theme.text : brush.length && !inside ? theme.muted : theme.lut.text[step];
  surface.text(x + CELL / 2, y + BOX / 2 + 0.5, letters[i], {
    fill,
    size: 12.5,
    align: "center",
    mono: true,
  });
}

/**
 * @param {Surface} surface
 * @param {LetterLayout} layout
 * @param {number} position
 * @param {string} stroke
 * @param {number} width
 */
function boxed(surface, layout, position, stroke, width) {
  if (position > layout.length) return;
  const { x, y } = letterPlace(layout, position - 1);
  surface.frame(x - 0.5, y - 0.5, CELL + 1, BOX + 1, stroke, width);
}

/**
 * Where a residue was substituted.
 * @param {Surface} surface
 * @param {Theme} theme
 * @param {LetterLayout} layout
 * @param {number} position
 */
function underline(surface, theme, layout, position) {
  const { x, y } = letterPlace(layout, position - 1);
  surface.rect(x, y + BOX, CELL, 3, theme.accent);
  surface.path(
    [
      [x + 2, y - 3],
      [x + CELL - 2, y - 3],
      [x + CELL / 2, y],
    ],
    "",
    0,
    theme.accent,
  );
}

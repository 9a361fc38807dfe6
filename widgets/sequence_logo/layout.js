// @ts-check
// Where everything in a logo is, in points; a logo that is too wide continues in a second line.

import { linesOf, wrapped } from "../kit/lines.js";

/** @import { Measure } from "../kit/lines.js" */

export const LEFT = 44;
const RIGHT = 8;
export const STACK = 118; // height of the axis of bits
const BELOW = 20; // room for column numbers
const ROW = 14; // of text
export const SWATCH = 13; // of the legend, with the room to its text
const NARROWEST = 7; // a column
const WIDEST = 44;

/**
 * @typedef {object} Layout
 * @property {number} perLine columns in a line
 * @property {number} lines
 * @property {number} column width of a column
 * @property {number} top where the first line begins
 * @property {string[][]} legend entries by row
 * @property {number} captionTop
 * @property {number} height of all
 */

/**
 * @param {number} width @param {number} columns @param {string[]} legend
 * @param {string} longest the longest caption there may be, so that the height stays where a brush
 *   changes the words
 * @param {Measure} measure
 * @returns {Layout}
 */
export function layoutOf(width, columns, legend, longest, measure) {
  const room = Math.max(60, width - LEFT - RIGHT);
  const lines = Math.max(1, Math.ceil(columns / Math.floor(room / NARROWEST)));
  const perLine = Math.max(1, Math.ceil(columns / lines));
  const rows = wrapped(legend, room - SWATCH, SWATCH + 13, measure);
  const top = rows.length * ROW + 14;
  const captionTop = top + lines * (STACK + BELOW) + ROW + 6;
  const height = captionTop + linesOf(longest, width, measure).length * ROW + 2;
  return {
    perLine,
    lines,
    column: Math.min(WIDEST, room / perLine),
    top,
    legend: rows,
    captionTop,
    height,
  };
}

/** Left end and base of a column. @param {Layout} layout @param {number} column */
export function placeOf(layout, column) {
  const line = Math.floor(column / layout.perLine);
  return {
    x: LEFT + (column - line * layout.perLine) * layout.column,
    base: layout.top + line * (STACK + BELOW) + STACK,
  };
}

/**
 * The column under a point, or null.
 * @param {Layout} layout
 * @param {number} columns
 * @param {number} x
 * @param {number} y
 */
export function columnAt(layout, columns, x, y) {
  const line = Math.floor((y - layout.top) / (STACK + BELOW));
  const place = Math.floor((x - LEFT) / layout.column);
  const column = line * layout.perLine + place;
  return line < 0 ||
    line >= layout.lines ||
    place < 0 ||
    place >= layout.perLine ||
    column >= columns
    ? null
    : column;
}

/**
 * How many columns apart the numbers are.
 * @param {number} column its width
 * @param {number} number the widest number's
 */
export function numberStep(column, number) {
  return [1, 2, 5, 10, 20, 50].find((step) => step * column >= number + 6) ?? 100;
}

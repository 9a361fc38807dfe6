// @ts-check
// One concept on the axis of F1 from 0 to 1: the feature as a bar with its interval, what others
// reach as marks above it.

/** @import { Surface, Theme } from "../kit/types.js" */

/** @typedef {import("./words.js").Row} Row */
/** @typedef {import("./words.js").Sources} Sources */

export const SCORE = 34; // height of one row
const TICKS = [0, 0.25, 0.5, 0.75, 1];
const EDGE = 8;
const MARKS_AT = 10;
const BAR_AT = 24;

/** @param {number} x @param {number} w @param {number} value */
const placeOf = (x, w, value) => x + EDGE + Math.max(0, Math.min(1, value)) * (w - 2 * EDGE);

/**
 * The shape that represents a source, about (x, y).
 * @param {Surface} surface
 * @param {string} marker matplotlib's
 * @param {number} x
 * @param {number} y
 * @param {string} fill
 * @param {string} edge
 */
export function drawMark(surface, marker, x, y, fill, edge) {
  const r = 4.5;
  const t = 1.6;
  const shapes = /** @type {Record<string, number[][]>} */ ({
    v: [
      [-r, -r * 0.8],
      [r, -r * 0.8],
      [0, r],
    ],
    "^": [
      [-r, r * 0.8],
      [r, r * 0.8],
      [0, -r],
    ],
    "<": [
      [r * 0.8, -r],
      [r * 0.8, r],
      [-r, 0],
    ],
    ">": [
      [-r * 0.8, -r],
      [-r * 0.8, r],
      [r, 0],
    ],
    s: [
      [-3.8, -3.8],
      [3.8, -3.8],
      [3.8, 3.8],
      [-3.8, 3.8],
    ],
    D: [
      [0, -r],
      [r, 0],
      [0, r],
      [-r, 0],
    ],
    P: [
      [-t, -r],
      [t, -r],
      [t, -t],
      [r, -t],
      [r, t],
      [t, t],
      [t, r],
      [-t, r],
      [-t, t],
      [-r, t],
      [-r, -t],
      [-t, -t],
    ],
    X: [
      [0, -t],
      [r - t, -r],
      [r, t - r],
      [t, 0],
      [r, r - t],
      [r - t, r],
      [0, t],
      [t - r, r],
      [-r, r - t],
      [-t, 0],
      [-r, t - r],
      [t - r, -r],
    ],
    "|": [
      [-1.2, -r - 1.5],
      [1.2, -r - 1.5],
      [1.2, r + 1.5],
      [-1.2, r + 1.5],
    ],
  });
  const points = shapes[marker];
  if (points)
    surface.path(
      points.map(([dx, dy]) => [x + dx, y + dy]),
      edge,
      0.8,
      fill,
    );
  else surface.circle(x, y, r - 0.3, fill);
}

/**
 * @param {Surface} surface
 * @param {Theme} theme
 * @param {number} x
 * @param {number} y
 * @param {number} w
 */
export function drawAxis(surface, theme, x, y, w) {
  for (const value of TICKS) {
    const align = value === 0 ? "left" : value === 1 ? "right" : "center";
    const at = placeOf(x, w, value) + (value === 0 ? -4 : value === 1 ? 4 : 0);
    surface.text(at, y, String(value), { fill: theme.muted, size: 10, align });
  }
}

/**
 * @param {Surface} surface
 * @param {Theme} theme
 * @param {Sources} sources
 * @param {string} own the feature's source
 * @param {Row} row @param {number} x @param {number} y @param {number} w
 */
export function drawScore(surface, theme, sources, own, row, x, y, w) {
  const at = (/** @type {number} */ value) => placeOf(x, w, value);
  for (const value of TICKS)
    surface.line(at(value), y, at(value), y + SCORE, theme.line, value ? 0.5 : 1);
  for (const [name, value] of Object.entries(row.controls)) {
    drawMark(
      surface,
      sources[name]?.marker ?? "o",
      at(value),
      y + MARKS_AT,
      sources[name]?.colour ?? theme.muted,
      theme.text,
    );
  }
  surface.rect(
    at(0),
    y + BAR_AT - 4,
    at(row.f1_per_domain) - at(0),
    8,
    sources[own]?.colour ?? theme.bar,
  );
  if (row.low === null || row.high === null) return;
  surface.line(at(row.low), y + BAR_AT, at(row.high), y + BAR_AT, theme.text, 1.5);
  for (const end of [row.low, row.high])
    surface.line(at(end), y + BAR_AT - 5, at(end), y + BAR_AT + 5, theme.text, 1.5);
}

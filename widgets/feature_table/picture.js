// @ts-check
// Rows as a picture, for PNG and SVG.

import { nearEnds } from "../kit/near_ends.js";
import { BADGE, MARKED, ROW, textOf } from "./columns.js";

/** @import { Kit, Surface, TextStyle, View } from "../kit/types.js" */

/** @typedef {import("./columns.js").Column} Column */
/** @typedef {import("../feature_data/listing.js").Shown} Shown */

const NAMES = 220; // width of a column that takes what is left
const EDGE = 10;
const TOP = 56;

/** @param {Column[]} columns @param {number} n rows @returns {[number, number]} */
export function sizeOf(columns, n) {
  return [
    columns.reduce((sum, { width }) => sum + (width || NAMES), 2 * EDGE),
    TOP + n * ROW + EDGE,
  ];
}

/**
 * @param {Kit} kit @param {View} view @param {Surface} surface
 * @param {{ shown: Shown, columns: Column[] }} what
 * @param {number[]} rows
 * @param {string} title which rows, and of how many
 */
export function drawRows(kit, view, surface, { shown, columns }, rows, title) {
  const { theme } = view;
  const [width] = sizeOf(columns, 0);
  surface.text(EDGE, 14, title, { fill: theme.text, size: 12, weight: 600 });
  let x = EDGE;
  for (const column of columns) {
    const w = column.width || NAMES;
    const right = column.kind === "number";
    /** @type {TextStyle} */
    const style = { fill: theme.muted, size: 11, align: right ? "right" : "left" };
    surface.text(right ? x + w - 6 : x + 2, TOP - 14, column.label, style);
    rows.forEach((row, i) =>
      drawCell(kit, view, surface, { shown, column, row, x, y: TOP + i * ROW, w }),
    );
    x += w;
  }
  for (let i = 0; i <= rows.length; i++)
    surface.line(EDGE, TOP + i * ROW, width - EDGE, TOP + i * ROW, theme.line, i ? 0.5 : 1);
}

/**
 * @param {Kit} kit @param {View} view @param {Surface} surface
 * @param {{ shown: Shown, column: Column, row: number, x: number, y: number, w: number }} place
 */
function drawCell(kit, view, surface, { shown, column, row, x, y, w }) {
  const { theme } = view;
  const text = textOf(kit, shown, column, row);
  const style = { fill: theme.text, size: 12 };
  const middle = y + ROW / 2;
  if (column.kind === "number")
    return surface.text(x + w - 6, middle, text, { ...style, align: "right" });
  const [dot, bar] = [
    column.name === "category" && text !== "–",
    column.kind === "share" && text !== "–",
  ];
  if (dot) surface.rect(x + 2, middle - 4, 8, 8, categoryColour(view, text));
  if (bar) {
    surface.rect(x + 34, middle - 4, w - 42, 8, theme.faded);
    surface.rect(
      x + 34,
      middle - 4,
      (w - 42) * Math.min(1, shown.value(column.name, row)),
      8,
      theme.bar,
    );
  }
  const badge = column.name === MARKED && nearEnds(shown.table, view.store.about, row);
  if (badge) {
    surface.frame(x + 2, middle - 7, 30, 14, theme.muted);
    surface.text(x + 17, middle, BADGE, { fill: theme.text, size: 10, align: "center" });
  }
  const left = dot ? 16 : badge ? 38 : 2;
  surface.text(x + left, middle, kit.fitted(text, w - left - 6, 12), style);
}

/** @param {View} view @param {string} category */
export function categoryColour(view, category) {
  return view.store.about.categories[category] ?? view.theme.faded;
}

// @ts-check
// The scores as one picture, for PNG and SVG.

import { conceptName } from "../kit/concept_names.js";
import { drawAxis, drawScore, SCORE } from "./marks.js";
import { kindOf, nameOf, rangeOf } from "./words.js";

/** @import { Kit, Surface, Theme, View } from "../kit/types.js" */

const MARGIN = 12;
const NAMES = 220;
const CHART = 340;
const NUMBERS = 170;
const TOP = 66;
const WIDTH = 2 * MARGIN + NAMES + CHART + NUMBERS;

/** @param {import("./scores.js").Scores} scores @returns {[number, number]} */
export function panelSize({ rows, marked }) {
  return [WIDTH, TOP + Math.max(1, rows.length) * SCORE + 52 + (marked?.length ? 18 : 0)];
}

/**
 * @param {Kit} kit
 * @param {View} view
 * @param {Surface} surface
 * @param {import("./scores.js").Scores} scores
 * @param {number} feature @param {string} none
 */
export function drawPanel(kit, view, surface, scores, feature, none) {
  const { theme } = view;
  const { about } = view.store;
  const style = { fill: theme.text, size: 12 };
  const title = `Feature ${feature} of ${about.source} on ${about.plm}, layer ${about.layer}`;
  surface.text(MARGIN, 16, title, { ...style, size: 13, weight: 600 });
  if (scores.rows.length === 0)
    return surface.text(MARGIN, TOP, kit.fitted(none, WIDTH - 2 * MARGIN, 12), style);
  const small = { fill: theme.muted, size: 11 };
  const [chart, numbers] = [MARGIN + NAMES, MARGIN + NAMES + CHART + 10];
  surface.text(chart + 4, 38, "F1 per domain on test proteins", small);
  surface.text(numbers, 38, "F1, 95 % interval", small);
  drawAxis(surface, theme, chart, TOP - 10, CHART);
  scores.rows.forEach((row, i) => {
    const y = TOP + i * SCORE;
    const name = conceptName(row.concept, row.category);
    surface.text(MARGIN, y + SCORE / 2, kit.fitted(name, NAMES - 10, 12), style);
    drawScore(surface, theme, scores.sources, scores.own, row, chart, y, CHART);
    const range = row.low === null ? "" : `  (${rangeOf(kit, row)})`;
    surface.text(numbers, y + SCORE / 2, `${kit.fixed(row.f1_per_domain)}${range}`, style);
  });
  drawLegend(kit, surface, scores, theme, TOP + scores.rows.length * SCORE + 18);
}

/**
 * @param {Kit} kit
 * @param {Surface} surface
 * @param {import("./scores.js").Scores} scores
 * @param {Theme} theme
 * @param {number} y
 */
function drawLegend(kit, surface, scores, theme, y) {
  const style = { fill: theme.text, size: 11 };
  let x = MARGIN;
  for (const name of [scores.own, ...(scores.marked ?? [])]) {
    const text = name === scores.own ? "this feature, 95 % interval" : nameOf(scores.sources, name);
    scores.drawMark(surface, name, x + 9, y);
    surface.text(x + 22, y, text, style);
    x += 34 + kit.widthOf(text, 11);
  }
  const said =
    `Marks: the best F1 of each ${kindOf(scores.rows[0])} on the concept. ` +
    "Chosen on validation, measured on test.";
  surface.text(MARGIN, y + 22, said, { ...style, fill: theme.muted });
}

// @ts-check
// What is drawn and what is saved: heat maps, logos below them, a table of all probabilities.

import { drawHeat } from "./heat.js";
import { drawLogos } from "./logos.js";
import { halves } from "./words.js";

/** @import { Surface } from "../kit/types.js" */
/** @import { Panel } from "../steering_panel.js" */
/** @import { HeatLayout } from "./heat.js" */
/** @import { LogoLayout } from "./logos.js" */
/** @import { Prediction } from "./prediction.js" */

const SAID = 24;

/** @param {Panel} panel @param {Surface} surface @param {HeatLayout} layout */
export function paintHeat(panel, surface, layout) {
  const { view, kit, chosen, hovered, letter, scales } = panel;
  const prediction = /** @type {Prediction} */ (panel.prediction);
  drawHeat(surface, view.theme, kit, {
    layout,
    prediction,
    change: view.theme.dark ? scales.dark : scales.light,
    chosen,
    hovered,
    row: prediction.rows.indexOf(letter || panel.pointedLetter),
    names: halves(prediction),
  });
}

/** @param {Panel} panel @param {Surface} surface @param {LogoLayout} layout */
export function paintLogos(panel, surface, layout) {
  const { view, kit, chosen, hovered, about } = panel;
  const prediction = /** @type {Prediction} */ (panel.prediction);
  const colours = Object.fromEntries(
    about.groups.flatMap((/** @type {any} */ { letters, light, dark }) =>
      [...letters].map((one) => [one, view.theme.dark ? dark : light]),
    ),
  );
  const scene = { layout, prediction, colours, chosen, hovered, names: halves(prediction) };
  drawLogos(surface, view.theme, kit, scene);
}

/** PNG and SVG: both pictures and the sentence. @param {Panel} panel */
export function picturesOf(panel) {
  const { kit, view, heat } = panel;
  const parts = () => {
    const { width } = heat;
    const first = panel.heatLayout(width, SAID);
    return { width, first, second: panel.logosLayout(width, SAID + first.height + 6) };
  };
  const size = () => {
    if (!panel.prediction) return [1, 1];
    const { width, second } = parts();
    return [width, second.top + second.height];
  };
  return kit.pictures(view, size, (/** @type {Surface} */ surface) => {
    if (!panel.prediction) return;
    const { width, first, second } = parts();
    const said = kit.fitted(panel.prediction.record.sentence, width - 4, 11);
    surface.text(2, 11, said, { fill: view.theme.text, size: 11 });
    paintHeat(panel, surface, first);
    paintLogos(panel, surface, second);
  });
}

/** @param {Prediction | null} prediction @returns {(string | number | null)[][]} */
export function probabilityTable(prediction) {
  const head = ["position", "residue", "amino_acid", "unsteered", "steered", "control"];
  if (!prediction) return [head];
  const { first, last, sequence, record } = prediction;
  const rows = [];
  for (let position = first; position <= last; position++)
    for (const letter of record.letters)
      rows.push([
        position,
        sequence[position - 1],
        letter,
        ...["unsteered", "steered", "control"].map((which) =>
          Number(prediction.at(position, letter, /** @type {any} */ (which)).toPrecision(6)),
        ),
      ]);
  return [head, ...rows];
}

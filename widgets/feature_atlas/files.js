// @ts-check
// The map as PNG, SVG and CSV: what is seen, with its legend and its caption.

import { linesOf } from "../kit/lines.js";
import { drawGroups, inFile, legendHeight } from "./legend.js";

/** @import { Surface } from "../kit/types.js" */
/** @import { Atlas } from "../feature_atlas.js" */

const WORDS_LINE = 15; // points
const SIZE = 10.5; // of these words

/** Height in points. @param {Atlas} atlas */
function heightOf(atlas) {
  const { coloured, plot } = atlas;
  return (
    plot.height +
    (coloured.groups ? legendHeight(plot.width, inFile(coloured.groups).length) : 0) +
    wordsBelow(atlas).length * WORDS_LINE +
    4
  );
}

/** @param {Atlas} atlas @param {Surface} surface */
function drawFile(atlas, surface) {
  const { kit, view, plot, coloured } = atlas;
  atlas.draw(surface, plot.width, plot.height);
  const named = inFile(coloured.groups ?? []);
  drawGroups(surface, view.theme, named, plot.height + 6, plot.width, kit);
  const top = heightOf(atlas) - wordsBelow(atlas).length * WORDS_LINE;
  wordsBelow(atlas).forEach((line, i) =>
    surface.text(6, top + (i + 0.5) * WORDS_LINE - 2, line, { fill: view.theme.muted, size: SIZE }),
  );
}

/** The words below the picture, in lines that fit. @param {Atlas} atlas @returns {string[]} */
function wordsBelow({ kit, view, plot, coloured }) {
  const { caption, no_clusters: noClusters } = view.model.get("about");
  const groups = coloured.groups ?? [];
  const more = groups.length - inFile(groups).length;
  const unnamed = more ? `; ${more} smaller groups are not in the legend` : "";
  const measure = (/** @type {string} */ text) => kit.widthOf(text, SIZE);
  return [`${caption}.`, `${view.subtitle.textContent}${unnamed}.`, noClusters]
    .filter(Boolean)
    .flatMap((words) => linesOf(words, plot.width, measure));
}

/** PNG and SVG. @param {Atlas} atlas */
export function picturesOf(atlas) {
  const size = () => [atlas.plot.width, heightOf(atlas)];
  return atlas.kit.pictures(atlas.view, size, (/** @type {Surface} */ surface) =>
    drawFile(atlas, surface),
  );
}

/** The features of the map that are listed. @param {Atlas} atlas */
export function rowsOf({ points, listed }) {
  const shown = Array.from(points.feature.keys()).filter(
    (i) => listed === null || listed.has(points.feature[i]),
  );
  const { cluster } = points;
  const row = (/** @type {number} */ i) => [
    ...[points.feature[i], points.x[i], points.y[i], ...(cluster ? [cluster[i]] : [])],
    ...[points.conceptOf(i), points.categoryOf(i), points.density[i], points.f1[i]],
  ];
  const places = ["feature", "x", "y", ...(cluster ? ["cluster"] : [])];
  return [[...places, "concept", "category", "density", "f1_per_domain"], ...shown.map(row)];
}

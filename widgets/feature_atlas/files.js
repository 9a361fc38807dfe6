// @ts-check
// The map as PNG, SVG and CSV: what is seen, with its legend and its caption.

import { drawGroups, inFile, legendHeight } from "./legend.js";

/** @import { Surface } from "../kit/types.js" */
/** @import { Atlas } from "../feature_atlas.js" */

const CAPTION = 18; // points

/** Height in points. @param {Atlas} atlas */
function heightOf({ coloured, plot }) {
  return (
    plot.height +
    (coloured.groups ? legendHeight(plot.width, inFile(coloured.groups).length) : 0) +
    CAPTION
  );
}

/** @param {Atlas} atlas @param {Surface} surface */
function drawFile(atlas, surface) {
  const { kit, view, plot, coloured } = atlas;
  atlas.draw(surface, plot.width, plot.height);
  const named = inFile(coloured.groups ?? []);
  drawGroups(surface, view.theme, named, plot.height + 6, plot.width, kit);
  const more = (coloured.groups ?? named).length - named.length;
  const unnamed = more ? `; ${more} smaller groups are not in the legend` : "";
  const said = kit.fitted(
    `${view.model.get("about").caption}; ${view.subtitle.textContent}${unnamed}`,
    plot.width - 12,
    10.5,
  );
  surface.text(6, heightOf(atlas) - CAPTION / 2, said, { fill: view.theme.muted, size: 10.5 });
}

/** PNG and SVG. @param {Atlas} atlas */
export function picturesOf(atlas) {
  const size = () => [atlas.plot.width, heightOf(atlas)];
  return atlas.kit.pictures(atlas.view, size, (/** @type {Surface} */ surface) =>
    drawFile(atlas, surface),
  );
}

/** The features that are picked out, else all on the map. @param {Atlas} atlas */
export function rowsOf({ points, chosen }) {
  const kept = new Set(chosen);
  const shown = Array.from(points.feature.keys()).filter(
    (i) => kept.size === 0 || kept.has(points.feature[i]),
  );
  const row = (/** @type {number} */ i) => [
    ...[points.feature[i], points.x[i], points.y[i], points.cluster[i]],
    ...[points.conceptOf(i), points.categoryOf(i), points.density[i], points.f1[i]],
  ];
  return [
    ["feature", "x", "y", "cluster", "concept", "category", "density", "f1_per_domain"],
    ...shown.map(row),
  ];
}

// @ts-check
// Draws the tracks: ruler, rows with their strips and annotations, marks, legend.

import { BEST, LETTERS, PINNED, RULER, STRIP, visible } from "./layout.js";
import { cellPixels, unknownRuns } from "./cells.js";
import { drawLegend, SMALL } from "./legend.js";

/** @import { Bundle, Kit, Surface, TextStyle, Theme } from "../kit/types.js" */

/**
 * Everything that one picture shows.
 * @typedef {object} Scene
 * @property {Kit} kit @property {Theme} theme @property {Bundle} bundle
 * @property {import("./layout.js").Geometry} geometry @property {import("./layout.js").Axis} axis
 * @property {import("./layout.js").Row[]} rows
 * @property {number} scroll
 * @property {number} names width of the widest accession
 * @property {number[]} strips numbers of the pinned features in the bundle, from 1
 * @property {number[]} brush @property {boolean} aligned
 * @property {{ accession: string, position: number | null }} selected
 * @property {{ accession: string, position: number } | null} hover
 * @property {Map<number, import("./words.js").Spans>} spans by number of the protein
 * @property {(category: string) => string} colour of a category
 * @property {import("./legend.js").Placed[][]} legend lines of it
 */

/** @param {Surface} surface @param {Scene} scene @param {number} width */
export function drawTracks(surface, scene, width) {
  const { geometry: g, rows, scroll } = scene;
  const [first, last] = visible(g, scroll, rows.length);
  surface.clip(0, g.top, width, g.bottom - g.top, () => {
    for (let i = first; i < last; i++)
      drawLabels(surface, scene, rows[i], g.top + i * g.row - scroll);
    surface.clip(g.left, g.top, g.width, g.bottom - g.top, () => {
      for (let i = first; i < last; i++)
        drawRow(surface, scene, rows[i], g.top + i * g.row - scroll);
      if (scene.aligned) drawCentre(surface, scene);
    });
    for (let i = first; i < last; i++)
      drawMarks(surface, scene, rows[i], g.top + i * g.row - scroll);
  });
  if (!rows.length)
    surface.text(8, g.top + 20, "no protein has an active residue in the brush", {
      fill: scene.theme.muted,
    });
  drawRuler(surface, scene);
  drawLegend(surface, scene, width);
}

/**
 * Name and maximum next to a row.
 * @param {Surface} surface
 * @param {Scene} scene
 * @param {import("./layout.js").Row} row
 * @param {number} y
 */
function drawLabels(
  surface,
  { kit, theme, bundle, geometry: g, names, selected, strips },
  { place },
  y,
) {
  const protein = bundle.proteins[place];
  const here = protein.accession === selected.accession;
  const colour = here ? theme.accent : theme.text;
  if (here) surface.rect(0, y, 3, g.row - 4, theme.accent);
  const room = g.left - 14;
  const accession = kit.fitted(protein.accession, room, 11, here ? 700 : 400);
  surface.text(8, y + STRIP / 2, accession, { fill: colour, size: 11, weight: here ? 700 : 400 });
  const used = names + 6;
  const name = room - used > 30 ? kit.fitted(protein.name, room - used, 10) : "";
  if (name) surface.text(8 + used, y + STRIP / 2, name, { fill: theme.muted, size: 10 });
  strips.forEach((which, i) => {
    const said = `feature ${bundle.record.pinned[which - 1].feature}`;
    surface.text(g.left - 6, y + STRIP + PINNED * (i + 0.5), said, {
      fill: theme.muted,
      size: 9,
      align: "right",
    });
  });
  const maximum = protein.maximum > 0 ? kit.fixed(protein.maximum) : "silent";
  surface.text(g.left + g.width + 34, y + STRIP / 2, maximum, {
    fill: theme.text,
    size: SMALL,
    align: "right",
  });
}

/**
 * The columns of a row that are seen: [first, last) of its residues, from 0.
 * @param {Scene} scene @param {number} length @param {number} shift
 */
function seen({ axis, geometry: g }, length, shift) {
  const first = Math.max(0, Math.floor(axis.column(0)) - shift);
  return [first, Math.min(length, Math.ceil(axis.column(g.width)) - shift)];
}

/**
 * @param {Surface} surface
 * @param {Scene} scene
 * @param {import("./layout.js").Row} row
 * @param {number} y
 */
function drawRow(surface, scene, { place, shift }, y) {
  const { bundle, axis, strips, brush } = scene;
  const values = bundle.values(place);
  const [first, last] = seen(scene, values.length, shift);
  if (last <= first) return drawElsewhere(surface, scene, first >= values.length, y);
  drawStrip(surface, scene, values, [first, last], shift, y, STRIP, brush);
  strips.forEach((which, i) => {
    drawStrip(
      surface,
      scene,
      bundle.values(place, which),
      [first, last],
      shift,
      y + STRIP + 1 + PINNED * i,
      PINNED - 1,
      [],
    );
  });
  drawSpans(surface, scene, place, shift, y);
  if (axis.scale >= LETTERS) drawLetters(surface, scene, place, [first, last], shift, y);
}

/**
 * Where to look for a row that is out of sight.
 * @param {Surface} surface @param {Scene} scene @param {boolean} before @param {number} y
 */
function drawElsewhere(surface, { theme, geometry: g }, before, y) {
  /** @type {TextStyle} */
  const style = { fill: theme.muted, size: 10, align: before ? "left" : "right" };
  surface.text(
    before ? g.left + 2 : g.left + g.width - 2,
    y + STRIP / 2,
    before ? "‹ ends before" : "begins after ›",
    style,
  );
}

/**
 * Cells of one feature along one protein.
 * @param {Surface} surface
 * @param {Scene} scene
 * @param {Float32Array} values
 * @param {number[]} range
 * @param {number} shift
 * @param {number} y @param {number} height @param {number[]} brush
 */
function drawStrip(
  surface,
  { theme, axis, geometry: g },
  values,
  [first, last],
  shift,
  y,
  height,
  brush,
) {
  const x = (/** @type {number} */ i) => g.left + axis.x(i + shift);
  const wide = (last - first) * axis.scale;
  // two per point, for fine screens
  const cells = Math.max(1, Math.min(last - first, Math.ceil(wide * 2)));
  surface.image(
    x(first),
    y,
    Math.max(1, wide),
    height,
    cellPixels(values, first, last, cells, brush, theme),
    cells,
    1,
  );
  for (const [from, to] of unknownRuns(values, first, last)) {
    surface.rect(x(from), y, (to - from) * axis.scale, height, theme.faded);
    surface.hatch(x(from), y, (to - from) * axis.scale, height, theme.muted);
  }
}

/**
 * @param {Surface} surface
 * @param {Scene} scene
 * @param {number} place
 * @param {number[]} range
 * @param {number} shift
 * @param {number} y
 */
function drawLetters(
  surface,
  { kit, theme, bundle, axis, brush, geometry: g },
  place,
  [first, last],
  shift,
  y,
) {
  const values = bundle.values(place);
  const { sequence } = bundle.proteins[place];
  const size = Math.min(12, axis.scale + 1);
  for (let i = first; i < last; i++) {
    const plain = Number.isNaN(values[i]) || !kit.inBrush(brush, values[i]);
    const fill = plain ? theme.muted : theme.lut.text[kit.stepOf(values[i])];
    surface.text(g.left + axis.x(i + shift + 0.5), y + STRIP / 2 + 0.5, sequence[i], {
      fill,
      size,
      align: "center",
      mono: true,
    });
  }
}

/**
 * The best concept's spans, and below them the others', thinner.
 * @param {Surface} surface
 * @param {Scene} scene
 * @param {number} place
 * @param {number} shift
 * @param {number} y
 */
function drawSpans(surface, scene, place, shift, y) {
  const { axis, geometry: g, colour } = scene;
  const { best, others } = /** @type {import("./words.js").Spans} */ (scene.spans.get(place));
  /** @type {[import("./words.js").Span[], number, number][]} */
  const lanes = [
    [best, g.band, BEST],
    [others, g.band + BEST + 1, BEST - 1],
  ];
  for (const [spans, from, height] of lanes) {
    for (const { start, end, category } of spans) {
      const [x, right] = [
        Math.max(0, axis.x(start - 1 + shift)),
        Math.min(g.width, axis.x(end + shift)),
      ];
      if (right > 0 && x < g.width)
        surface.rect(g.left + x, y + from, Math.max(1.5, right - x), height, colour(category));
    }
  }
}

/** Where all maxima lie. @param {Surface} surface @param {Scene} scene */
function drawCentre(surface, { theme, axis, geometry: g }) {
  for (const x of [g.left + axis.x(0), g.left + axis.x(1)])
    surface.line(x, g.top, x, g.bottom, theme.muted, 0.75, [2, 3]);
}

/**
 * The selected residue, and the one under the pointer, here or in another view.
 * @param {Surface} surface
 * @param {Scene} scene
 * @param {import("./layout.js").Row} row
 * @param {number} y
 */
function drawMarks(
  surface,
  { theme, bundle, axis, geometry: g, selected, hover },
  { place, shift },
  y,
) {
  const { accession, sequence } = bundle.proteins[place];
  /** @type {[{ accession: string, position: number | null } | null, string, number][]} */
  const marks = [
    [hover, theme.text, 1],
    [selected, theme.accent, 2],
  ];
  for (const [mark, stroke, thick] of marks) {
    if (mark?.accession !== accession || mark.position === null || mark.position > sequence.length)
      continue;
    const x = axis.x(mark.position - 1 + shift);
    if (x + axis.scale <= 0 || x >= g.width) continue;
    const wide = Math.max(5, axis.scale);
    surface.frame(g.left + x + (axis.scale - wide) / 2, y, wide, STRIP, stroke, thick);
    surface.line(
      g.left + x + axis.scale / 2,
      y + STRIP,
      g.left + x + axis.scale / 2,
      y + g.row - 4,
      stroke,
      thick,
    );
  }
}

/** Positions, or distances from the maximum. @param {Surface} surface @param {Scene} scene */
function drawRuler(surface, { kit, theme, axis, geometry: g, aligned }) {
  const style = { fill: theme.muted, size: 10 };
  const base = RULER - 4;
  surface.text(8, RULER / 2, aligned ? "from maximum" : "position", style);
  surface.text(g.left + g.width + 34, RULER / 2, "max.", { ...style, align: "right" });
  const end = Math.min(g.width, axis.x(axis.high));
  surface.line(g.left, base, g.left + end, base, theme.line, 1);
  const first = aligned ? 0 : 1; // what column 0 is called
  const low = Math.ceil(axis.from - 0.5) + first;
  const marks = kit.ticks(
    low,
    Math.floor(axis.column(end) - 0.5) + first,
    Math.max(1, Math.floor(g.width / 90)),
  );
  const whole = marks.filter(
    (/** @type {number} */ n) => Number.isInteger(n) && (aligned || n > 0),
  );
  if (!aligned && low === 1 && whole[0] !== 1) whole.unshift(1);
  let free = -Infinity;
  for (const mark of whole) {
    const x = axis.x(mark - first + 0.5);
    surface.line(g.left + x, base, g.left + x, base + 4, theme.muted, 1);
    const said = aligned && mark > 0 ? `+${mark}` : String(mark).replace("-", "−");
    const half = kit.widthOf(said, 10) / 2;
    if (x - half < free || x + half > g.width + 8) continue;
    surface.text(g.left + x, 7, said, { ...style, align: "center" });
    free = x + half + 8;
  }
}

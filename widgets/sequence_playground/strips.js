// @ts-check
// Named stretches and features along the sequence, one row each.

import { changeBar, changeStep } from "../kit/changes.js";
import { cellsAcross } from "./reading.js";
import { confidenceWords, named, valueWords } from "./words.js";

/** @import { Kit, Lut, Surface, TextStyle, Theme } from "../kit/types.js" */

/** @typedef {import("./reading.js").Reading} Reading */
/** @typedef {{ y: number, text: string, right: string }} Heading */
/**
 * @typedef {object} Item one row of the picture: a lane or a feature
 * @property {number} y
 * @property {number} height
 * @property {import("./reading.js").Lane | null} lane
 * @property {number} row the reading's, or -1
 * @property {number} feature
 */
/**
 * @typedef {object} StripLayout
 * @property {number} top
 * @property {number} left of the strips
 * @property {number} width of the strips
 * @property {number} right
 * @property {boolean} narrow labels are above the strips
 * @property {Item[]} items
 * @property {Heading[]} headings
 * @property {number} foot
 * @property {number} height
 */

const NARROW = 620;
const LABEL = 15; // above the strip, where it is narrow
const HEAD = 24;
const RULER = 16;

/**
 * Where everything is drawn.
 * @param {Reading} reading @param {number} width points @param {number} [top]
 * @returns {StripLayout}
 */
export function stripLayout(reading, width, top = 0) {
  const narrow = width < NARROW;
  const left = narrow ? 4 : Math.min(260, Math.round(0.3 * width));
  const right = narrow ? width - 4 : width - 124;
  const extra = narrow ? LABEL : 0;
  /** @type {Heading[]} */
  const headings = [];
  /** @type {Item[]} */
  const items = [];
  let y = top + RULER;
  const heading = (/** @type {string} */ text, /** @type {string} */ end) => {
    headings.push({ y: y + HEAD / 2, text, right: narrow ? "" : end });
    y += HEAD;
  };
  const add = (
    /** @type {number} */ height,
    /** @type {Pick<Item, "lane" | "row" | "feature">} */ what,
  ) => {
    items.push({ y, height: height + extra, ...what });
    y += height + extra;
  };
  heading(stretchesTitle(reading, narrow), "confidence");
  for (const lane of reading.lanes)
    add(reading.mutated ? 36 : 24, { lane, row: -1, feature: lane.feature });
  heading(featuresTitle(reading, narrow), reading.mutated ? "largest change" : "maximum");
  reading.rows.forEach((row, i) =>
    add(reading.mutated ? 34 : 24, { lane: null, row: i, feature: row.feature }),
  );
  const foot = y + 8;
  const height = foot - top + (reading.mutated ? 38 : 20);
  return { top, left, width: right - left, right, narrow, items, headings, foot, height };
}

/** @param {Reading} reading @param {boolean} narrow */
function stretchesTitle({ lanes, record, mutated }, narrow) {
  if (!lanes.length) return "Named stretches: none is sure enough";
  const shown =
    lanes.length < record.n_concepts
      ? `: the surest ${lanes.length} of ${record.n_concepts} concepts`
      : "";
  const how = mutated
    ? "reference above, mutant below; height: confidence, 0 to 1"
    : "height: confidence, 0 to 1";
  return narrow ? `Named stretches${shown}` : `Named stretches${shown} (${how})`;
}

/** @param {Reading} reading @param {boolean} narrow */
function featuresTitle({ rows, record, mutated }, narrow) {
  const n = rows.filter((row) => row.chosen).length;
  const and = n < rows.length ? ` and feature ${rows[n].feature}` : "";
  const all = record.n_features;
  const which = mutated
    ? `the ${n} of ${all} that change most${and}`
    : `the strongest ${n} of ${all} that fire${and}`;
  if (!record.n_features) return mutated ? "Features: none changes" : "Features: none fires";
  return mutated && !narrow
    ? `Features: ${which} (reference, mutant, change)`
    : `Features: ${which}`;
}

/** The row at a height, or null. @param {StripLayout} layout @param {number} y */
export function itemAt(layout, y) {
  return layout.items.find((item) => y >= item.y && y < item.y + item.height) ?? null;
}

/**
 * The position (from 1) at a point, or null next to the strips.
 * @param {StripLayout} layout @param {number} length @param {number} x
 */
export function positionAt(layout, length, x) {
  const place = Math.floor(((x - layout.left) / layout.width) * length);
  return place >= 0 && place < length ? place + 1 : null;
}

/**
 * @typedef {object} Striped
 * @property {StripLayout} layout
 * @property {Reading} reading
 * @property {number} feature the selected one
 * @property {number | null} chosen position
 * @property {number | null} hovered position
 * @property {number} cursor the item that keys are on, or -1
 * @property {Lut} lut of changes
 * @property {number} limit of changes
 * @property {Record<string, string>} categories colours
 */

/**
 * @param {Surface} surface
 * @param {Theme} theme
 * @param {Kit} kit
 * @param {Striped} what
 */
export function drawStrips(surface, theme, kit, what) {
  const { layout } = what;
  ruler(surface, theme, kit, what);
  for (const { y, text, right } of layout.headings) {
    surface.text(4, y, kit.fitted(text, layout.right - 4, 11, 600), {
      fill: theme.text,
      size: 11,
      weight: 600,
    });
    surface.text(layout.right + 8, y, right, { fill: theme.muted, size: 10.5 });
  }
  layout.items.forEach((item, i) => {
    label(surface, theme, kit, what, item);
    if (item.lane) lane(surface, theme, kit, what, item);
    else strip(surface, theme, kit, what, item);
    const end = layout.right + (layout.narrow ? 2 : 122);
    if (i === what.cursor) surface.frame(1, item.y + 0.5, end, item.height - 1, theme.accent, 1);
  });
  marks(surface, theme, what);
  const bar = Math.max(40, Math.min(120, layout.width - 240));
  kit.colourBar(surface, theme, layout.left, layout.foot, { width: bar });
  if (what.reading.mutated)
    changeBar(surface, theme, what.lut, what.limit, layout.left, layout.foot + 18, bar);
}

/** @param {Surface} surface @param {Theme} theme @param {Kit} kit @param {Striped} what */
function ruler(surface, theme, kit, { layout, reading }) {
  const x = centre(layout, reading.length);
  const marked = kit
    .ticks(1, reading.length, Math.max(2, layout.width / 90))
    .filter((/** @type {number} */ p) => p % 1 === 0);
  for (const position of new Set([1, ...marked])) {
    if (position === 0) continue;
    surface.text(x(position), layout.top + 6, String(position), {
      fill: theme.muted,
      size: 9.5,
      align: "center",
    });
    surface.line(
      x(position),
      layout.top + 12,
      x(position),
      layout.top + RULER - 1,
      theme.muted,
      0.5,
    );
  }
}

/**
 * The middle of a residue.
 * @param {StripLayout} layout
 * @param {number} length
 * @returns {(position: number) => number}
 */
function centre(layout, length) {
  return (position) => layout.left + ((position - 0.5) / length) * layout.width;
}

/**
 * Name on the left, numbers on the right; both above the strip where it is narrow.
 * @param {Surface} surface
 * @param {Theme} theme
 * @param {Kit} kit
 * @param {Striped} what
 * @param {Item} item
 */
function label(surface, theme, kit, { layout, reading, feature }, item) {
  const row = reading.rows[item.row];
  const selected = item.feature === feature;
  const [name, end] = item.lane
    ? [named(item.lane), `, feature ${item.lane.feature}`]
    : row.best
      ? [`${row.feature}  ${named(row.best)}`, ` (F1 ${kit.fixed(row.best.f1_per_domain)})`]
      : [String(row.feature), ""];
  const value = item.lane ? confidenceWords(reading, item.lane) : valueWords(reading, row);
  const y = layout.narrow ? item.y + LABEL / 2 + 1 : item.y + item.height / 2;
  const room = layout.narrow ? layout.width - kit.widthOf(value, 10.5) - 12 : layout.left - 16;
  const weight = selected ? 700 : 400;
  const cut = kit.fitted(name, room - kit.widthOf(end, 11, weight), 11, weight);
  surface.text(8, y, `${cut}${end}`, { fill: theme.text, size: 11, weight });
  if (selected) surface.rect(0, item.y + 2, 3, item.height - 4, theme.accent);
  /** @type {TextStyle} */
  const style = { fill: theme.text, size: 10.5, align: layout.narrow ? "right" : "left" };
  surface.text(
    layout.right + (layout.narrow ? 0 : 8),
    y,
    layout.narrow ? value : kit.fitted(value, 116, 10.5),
    style,
  );
}

/**
 * Stretches of a concept as bars as high as they are sure.
 * @param {Surface} surface
 * @param {Theme} theme
 * @param {Kit} kit
 * @param {Striped} what
 * @param {Item} item
 */
function lane(surface, theme, kit, { layout, reading, categories }, item) {
  const { lane: own } = item;
  if (!own) return;
  const fill = categories[own.category] ?? "#7f7f7f";
  const { top } = stripEdges(layout, item, reading.mutated);
  const parts = reading.mutated ? [own.reference, own.mutant] : [own.reference];
  const room = reading.mutated ? 14 : 18;
  parts.forEach((stretches, i) => {
    const base = top + (i + 1) * room + i * 2;
    surface.line(layout.left, base, layout.right, base, theme.line, 0.5);
    for (const { start, end, confidence } of stretches) {
      const x = layout.left + ((start - 1) / reading.length) * layout.width;
      const width = Math.max(1.5, ((end - start + 1) / reading.length) * layout.width);
      surface.rect(x, base - confidence * room, width, confidence * room, fill);
    }
  });
}

/**
 * A feature along the sequence; with mutations its mutant and the change under it.
 * @param {Surface} surface
 * @param {Theme} theme
 * @param {Kit} kit
 * @param {Striped} what
 * @param {Item} item
 */
function strip(surface, theme, kit, { layout, reading, lut, limit }, item) {
  const { top } = stripEdges(layout, item, reading.mutated);
  const activations = { lut: theme.lut, step: kit.stepOf };
  const changes = { lut, step: (/** @type {number} */ value) => changeStep(value, limit) };
  const heights = reading.mutated ? [9, 9, 8] : [17];
  const kinds = /** @type {("reference" | "mutant" | "change")[]} */ ([
    "reference",
    "mutant",
    "change",
  ]);
  heights.forEach((height, i) => {
    image(
      surface,
      layout,
      reading.values(item.row, kinds[i]),
      top + 10 * i,
      height,
      i === 2 ? changes : activations,
    );
  });
}

/**
 * @param {Surface} surface
 * @param {StripLayout} layout
 * @param {Float32Array} values
 * @param {number} y
 * @param {number} h
 * @param {{ lut: Lut, step: (value: number) => number }} colours
 */
function image(surface, layout, values, y, h, { lut, step }) {
  const cells = cellsAcross(values, Math.min(values.length, Math.max(1, Math.round(layout.width))));
  const rgba = new Uint8ClampedArray(4 * cells.length);
  cells.forEach((value, i) => {
    const at = 3 * step(value);
    rgba.set([lut.rgb[at], lut.rgb[at + 1], lut.rgb[at + 2], 255], 4 * i);
  });
  surface.image(layout.left, y, layout.width, h, rgba, cells.length, 1);
}

/**
 * Lines at the residues that are changed, hovered and chosen: between the strips, since changes are
 * often right there.
 * @param {Surface} surface @param {Theme} theme @param {Striped} what
 */
function marks(surface, theme, { layout, reading, chosen, hovered }) {
  const x = centre(layout, reading.length);
  const line = (
    /** @type {number} */ position,
    /** @type {string} */ stroke,
    /** @type {number} */ width,
  ) => {
    for (const item of layout.items) {
      const { top, bottom } = stripEdges(layout, item, reading.mutated);
      surface.line(x(position), top - 3, x(position), top, stroke, width);
      surface.line(x(position), bottom, x(position), item.y + item.height, stroke, width);
    }
  };
  for (const { position } of reading.record.mutations) line(position, theme.muted, 1);
  if (hovered) line(hovered, theme.text, 1);
  if (chosen) line(chosen, theme.accent, 2);
}

/**
 * Where a row's strips begin and end.
 * @param {StripLayout} layout
 * @param {Item} item
 * @param {boolean} mutated
 */
function stripEdges(layout, item, mutated) {
  const top = item.y + (layout.narrow ? LABEL : 0) + 3;
  const height = item.lane ? (mutated ? 30 : 18) : mutated ? 28 : 17;
  return { top, bottom: top + height };
}

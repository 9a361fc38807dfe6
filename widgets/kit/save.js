// @ts-check
// Files for the person: pictures and tables of what a view shows.

import { fitted } from "./fitted.js";
import { addMenu } from "./menu.js";
import { CanvasSurface } from "./surface.js";
import { SvgSurface } from "./svg_surface.js";

/** @import { Plot, Surface, View } from "./types.js" */

/**
 * @typedef {object} Saves
 * @property {Plot} [plot] a `Plot`, for PNG and SVG, or these:
 * @property {() => Promise<Blob> | Blob} [png]
 * @property {() => Promise<string> | string} [svg]
 * @property {() => (string | number | null)[][]} csv rows, the first of them the names of the
 *   columns
 */

/**
 * A menu of buttons among the view's tools.
 * @param {View} frame @param {Saves} saves
 * @returns {HTMLElement} where others may be added
 */
export function saveMenu(frame, saves) {
  const { png, svg } = /** @type {any} */ (saves.plot ? plotted(frame, saves.plot) : saves);
  /** @type {[string, () => any, string][]} */
  const kinds = [
    ["PNG", png, "image/png"],
    ["SVG", svg, "image/svg+xml"],
    ["CSV", () => csvOf(saves.csv()), "text/csv"],
  ];
  const items = document.createElement("div");
  for (const [name, make, type] of kinds) {
    const act = async () => download(await make(), type, frame.fileName(name.toLowerCase()));
    items.append(frame.button(name, act, `Save ${frame.title} as ${name}`));
  }
  const hint = `Save ${frame.title}`;
  addMenu(frame, { kind: "iplm-saves", text: "Save", hint }, items);
  return items;
}

/** @param {View} frame @param {Plot} plot */
function plotted(frame, plot) {
  return pictures(
    frame,
    () => [plot.width, plot.height],
    (surface) => plot.paint(surface, plot.width, plot.height),
  );
}

const FOOT = 18; // points below a picture, for what it is of
const SMALL = 10;
const LEAST = 280; // points of width, so that it can be read

/**
 * What every picture says of itself, wherever it ends up.
 * @param {View} frame
 */
export function originOf({ link, store }) {
  const { run, source, plm, layer } = store.about;
  return `Run ${run}: feature ${link.get("feature")} of ${source} on ${plm}, layer ${layer}`;
}

/**
 * PNG at three pixels per point and SVG, drawn on the page's ground when they are requested, with a
 * line that says what they are of.
 * @param {View} frame
 * @param {() => number[]} size width and height
 * @param {(surface: Surface) => void} draw
 */
export function pictures(frame, size, draw) {
  const drawn = (/** @type {Surface} */ surface, /** @type {number[]} */ [width, height]) => {
    draw(surface);
    const said = fitted(originOf(frame), width - 16, SMALL);
    surface.text(8, height - FOOT / 2, said, { fill: frame.theme.muted, size: SMALL });
  };
  const whole = () => [Math.max(LEAST, size()[0]), size()[1] + FOOT];
  const png = () => {
    const [width, height] = whole();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [3 * width, 3 * height];
    const g = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    g.setTransform(3, 0, 0, 3, 0, 0);
    const surface = new CanvasSurface(g);
    surface.rect(0, 0, width, height, frame.theme.ground);
    drawn(surface, [width, height]);
    return new Promise((done, fail) =>
      canvas.toBlob((blob) => (blob ? done(blob) : fail(Error("no picture"))), "image/png"),
    );
  };
  const svg = () => {
    const [width, height] = whole();
    const surface = new SvgSurface(width, height, frame.theme.ground);
    drawn(surface, [width, height]);
    return surface.toString();
  };
  return { png, svg };
}

// As in spreadsheet.py and plain_text.py.
const FORMULA = /^'*[=+\-@\t\r]/;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?%?$/i;
const OBEYED = new RegExp(
  "[\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f\\u061c\\u180e\\u200b-\\u200f" +
    "\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb]",
  "g",
);

/**
 * RFC 4180. A cell that a spreadsheet would run as a formula is led by an apostrophe, and what a
 * terminal would obey is written out.
 * @param {(string | number | null)[][]} rows
 */
export function csvOf(rows) {
  return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** @param {string | number | null} value */
function cell(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  const formula = typeof value === "string" && FORMULA.test(value) && !NUMBER.test(value);
  const text = `${formula ? "'" : ""}${value}`.replace(
    OBEYED,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** @param {Blob | string} content @param {string} type @param {string} name */
export function download(content, type, name) {
  const blob = content instanceof Blob ? content : new Blob([content], { type });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

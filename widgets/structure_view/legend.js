// @ts-check
// The colour bar and what else the colours mean; and the picture with both, for PNG and SVG.

/** @import { Kit, Surface, View } from "../kit/types.js" */

const ROW = 18;
const TITLE = 24;

/**
 * A patch, or a thin line, and what it means
 * @typedef {object} Entry
 * @property {string} words
 * @property {string} colour
 * @property {boolean} [thin]
 */

/**
 * Rows of the legend, filled from the left.
 * @param {Kit} kit @param {Entry[]} entries @param {number} width
 * @returns {{ entry: Entry, x: number, row: number }[]} row 0 is that of the colour bar
 */
export function placed(kit, entries, width) {
  let [x, row] = [0, 1];
  return entries.map((entry) => {
    const wide = 20 + kit.widthOf(entry.words, 10.5) + 14;
    if (x > 0 && x + wide > width) [x, row] = [0, row + 1];
    x += wide;
    return { entry, x: x - wide, row };
  });
}

/** @param {Kit} kit @param {Entry[]} entries @param {number} width */
export function legendHeight(kit, entries, width) {
  return ROW * (1 + Math.max(0, ...placed(kit, entries, width).map(({ row }) => row))) + 4;
}

/**
 * @param {Surface} surface
 * @param {View} view
 * @param {Entry[]} entries
 * @param {number} width
 * @param {number} [top]
 */
export function drawLegend(surface, view, entries, width, top = 0) {
  const { kit, theme, link } = view;
  const bar = Math.max(50, Math.min(160, width - 215));
  kit.colourBar(surface, theme, 0, top + 4, { width: bar, brush: link.get("brush") });
  for (const { entry, x, row } of placed(kit, entries, width)) {
    const y = top + row * ROW + 4;
    if (entry.thin) surface.line(x, y + 5, x + 14, y + 5, entry.colour, 3);
    else {
      surface.rect(x, y, 14, 10, entry.colour);
      surface.frame(x, y, 14, 10, theme.line);
    }
    const words = kit.fitted(entry.words, width - x - 19, 10.5);
    surface.text(x + 19, y + 5, words, { fill: theme.text, size: 10.5 });
  }
}

/**
 * The picture with its title and its legend.
 * @param {Surface} surface @param {View} view
 * @param {{ entries: Entry[], title: string, width: number, height: number, source: any }} parts
 */
export function drawPage(surface, view, { entries, title, width, height, source }) {
  surface.text(0, 10, view.kit.fitted(title, width, 12, 600), {
    fill: view.theme.text,
    size: 12,
    weight: 600,
  });
  surface.picture(0, TITLE, width, height, source);
  drawLegend(surface, view, entries, width, TITLE + height + 6);
}

/** @param {View} view @param {any} parts @returns {number} */
export function pageHeight(view, { entries, width, height }) {
  return TITLE + height + 6 + legendHeight(view.kit, entries, width);
}

/** A picture for `Surface.picture`. @param {Blob} blob */
export async function sourceOf(blob) {
  /** @type {Promise<string>} */
  const url = new Promise((done) => {
    const reader = new FileReader();
    reader.onload = () => done(String(reader.result));
    reader.readAsDataURL(blob);
  });
  return { bitmap: await createImageBitmap(blob), url: await url };
}

// @ts-check
// The legend below the tracks: the colour bar, and what the colours of annotations are.

import { conceptName } from "../kit/concept_names.js";
import { BEYOND } from "../kit/colours.js";

/** @import { Bundle, Kit, Surface } from "../kit/types.js" */

/** @typedef {{ text: string, category: string, thick: boolean }} Item */
/** @typedef {{ text: string, colour: string, thick: boolean, x: number }} Placed */

export const SMALL = 10.5;
export const UNKNOWN = "unknown activation";
const LINE = 16;
const BAR = 27; // of the colour bar
const LOW = 170;

/**
 * What is to be explained: unknown residues, the best concept, then categories, those with most
 * spans first, and the grey ones as one.
 * @param {Bundle} bundle
 * @param {Map<number, import("./words.js").Spans>} spans
 * @param {Record<string, string>} colours of categories
 * @returns {Item[]}
 */
export function explained(bundle, spans, colours) {
  const { best } = bundle.record;
  /** @type {Map<string, { category: string, n: number }>} by what they are called */
  const kinds = new Map();
  for (const { category } of [...spans.values()].flatMap(({ others }) => others)) {
    const text = colours[category] === BEYOND ? "other categories" : category;
    const kind = kinds.get(text) ?? { category, n: 0 };
    kind.n += 1;
    kinds.set(text, kind);
  }
  const items = [...kinds]
    .sort(([, a], [, b]) => b.n - a.n)
    .map(([text, { category }]) => ({ text, category, thick: false }));
  const seen = [...spans.values()].some((s) => s.best.length);
  if (seen) {
    const text = `${conceptName(best.concept, best.category)} (best)`;
    items.unshift({ text, category: best.category, thick: true });
  }
  const unknown = bundle.sparse.some(({ value }) => value.some(Number.isNaN));
  return unknown ? [{ text: UNKNOWN, category: UNKNOWN, thick: false }, ...items] : items;
}

/**
 * Items in lines; what does not fit is counted.
 * @param {Kit} kit
 * @param {Item[]} items
 * @param {(category: string) => string} colour
 * @param {number} width
 * @param {number} height of the picture: a low one has rows rather than a long legend
 * @returns {Placed[][]}
 */
export function legendLines(kit, items, colour, width, height) {
  const most = height < LOW ? 1 : width < 480 ? 3 : 2;
  /** @type {Placed[][]} */
  const lines = [];
  let x = Infinity;
  for (const [i, { text, category, thick }] of items.entries()) {
    const said = kit.fitted(text, width - 40, SMALL);
    const wide = kit.widthOf(said, SMALL) + 30;
    // room to say how many more there are
    const rest = lines.length === most && i + 1 < items.length ? 70 : 0;
    if (x + wide + rest > width) {
      if (lines.length === most) {
        lines[most - 1].push({ text: `and ${items.length - i} more`, colour: "", thick, x });
        break;
      }
      lines.push([]);
      x = 8;
    }
    lines[lines.length - 1].push({ text: said, colour: colour(category), thick, x });
    x += wide;
  }
  return lines;
}

/** @param {Placed[][]} lines */
export function legendHeight(lines) {
  return BAR + LINE * lines.length;
}

/** @param {Surface} surface @param {import("./draw.js").Scene} scene @param {number} width */
export function drawLegend(surface, { kit, theme, brush, legend, geometry: g }, width) {
  surface.line(0, g.bottom + 0.5, width, g.bottom + 0.5, theme.line, 1);
  kit.colourBar(surface, theme, 8, g.bottom + 6, {
    width: Math.max(40, Math.min(120, g.left + g.width - 200)),
    brush,
  });
  legend.forEach((line, i) => {
    const y = g.bottom + BAR - 2 + LINE * (i + 0.5);
    for (const { text, colour, thick, x } of line) {
      if (text === UNKNOWN) surface.hatch(x, y - 4, 14, 8, theme.muted);
      else if (colour) surface.rect(x, y - (thick ? 3 : 1.5), 14, thick ? 6 : 3, colour);
      surface.text(x + (colour ? 18 : 0), y, text, { fill: theme.text, size: SMALL });
    }
  });
}

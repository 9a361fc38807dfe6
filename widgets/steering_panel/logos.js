// @ts-check
// Predicted logos around one residue, below one another: unsteered, feature, control.

import { ticks } from "../kit/scales.js";

/** @import { Kit, Surface, Theme } from "../kit/types.js" */
/** @import { Prediction, Which } from "./prediction.js" */

const LEFT = 28;
const COLUMN = 13;
const STACK = 46;
const NAME = 16;
const NUMBERS = 16;
const READABLE = 2; // points; lower letters are bars

/** @type {Which[]} */
const STRIPS = ["unsteered", "steered", "control"];

/**
 * @typedef {object} LogoLayout
 * @property {number} top
 * @property {number} from the first residue that is shown
 * @property {number} columns
 * @property {number} height
 */

/**
 * As many residues as fit around one.
 * @param {number} width points @param {Prediction} prediction @param {number} around residue
 * @param {number} [top] @returns {LogoLayout}
 */
export function logosLayout(width, prediction, around, top = 0) {
  const columns = Math.max(1, Math.min(prediction.n, Math.floor((width - LEFT) / COLUMN)));
  const wanted = around - Math.floor(columns / 2);
  const from = Math.max(prediction.first, Math.min(prediction.last - columns + 1, wanted));
  return { top, from, columns, height: STRIPS.length * (NAME + STACK) + NUMBERS };
}

/** The residue at a point, or null. @param {LogoLayout} layout @param {number} x */
export function logoAt({ from, columns }, x) {
  const column = Math.floor((x - LEFT) / COLUMN);
  return column >= 0 && column < columns ? from + column : null;
}

/**
 * @param {Surface} surface @param {Theme} theme @param {Kit} kit
 * @param {{ layout: LogoLayout, prediction: Prediction, colours: Record<string, string>,
 *   chosen: number | null, hovered: number | null,
 *   names: { steered: string, control: string } }} scene
 */
export function drawLogos(surface, theme, kit, scene) {
  const { layout, prediction, chosen, hovered } = scene;
  const { from, columns } = layout;
  const shown = Array.from({ length: columns }, (_, i) => from + i);
  const stacks = STRIPS.map((which) => shown.map((position) => prediction.stack(position, which)));
  const tallest = Math.max(
    1,
    ...stacks.flat().map((stack) => stack.reduce((sum, { bits }) => sum + bits, 0)),
  );
  const end = Math.ceil(tallest);
  const titles = { unsteered: "unsteered", ...scene.names };
  STRIPS.forEach((which, line) => {
    const top = layout.top + line * (NAME + STACK) + NAME;
    const base = top + STACK;
    const title = kit.fitted(`predicted logo: ${titles[which]}`, columns * COLUMN, 11);
    surface.text(LEFT, top - 8, title, { fill: theme.text, size: 11 });
    for (const bits of ticks(0, end, 2)) {
      const y = base - (bits / end) * STACK;
      surface.line(LEFT, y, LEFT + columns * COLUMN, y, bits ? theme.line : theme.muted, 0.5);
      surface.text(LEFT - 4, y, String(bits), { fill: theme.muted, size: 9.5, align: "right" });
    }
    surface.text(7, top + STACK / 2, "bits", {
      fill: theme.muted,
      size: 9.5,
      align: "center",
      turn: -90,
    });
    shown.forEach((position, i) => {
      const x = LEFT + i * COLUMN;
      if (position === hovered) surface.rect(x, top, COLUMN, STACK, theme.muted, 0.22);
      drawStack(surface, stacks[line][i], x, base, STACK / end, scene.colours);
      if (position === chosen) surface.frame(x, top, COLUMN, STACK, theme.accent, 1.5);
    });
  });
  const below = layout.top + layout.height - NUMBERS / 2;
  shown.forEach((position, i) => {
    if (position % 10 && columns > 12) return;
    surface.text(LEFT + (i + 0.5) * COLUMN, below, String(position), {
      fill: theme.muted,
      size: 10,
      align: "center",
    });
  });
}

/**
 * @param {Surface} surface @param {{ letter: string, bits: number }[]} stack
 * @param {number} x @param {number} base @param {number} scale points per bit
 * @param {Record<string, string>} colours
 */
function drawStack(surface, stack, x, base, scale, colours) {
  let y = base;
  for (const { letter, bits } of [...stack].reverse()) {
    const h = bits * scale;
    const [from, wide] = [x + 0.5, COLUMN - 1];
    y -= h;
    if (h < READABLE) surface.rect(from, y, wide, h, colours[letter]);
    else if (letter !== "I") surface.glyph(letter, from, y, wide, h, colours[letter]);
    else surface.glyph(letter, from + 0.3 * wide, y, 0.4 * wide, h, colours[letter]);
  }
}

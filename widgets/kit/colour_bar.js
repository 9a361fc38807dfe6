// @ts-check
// The colour scale with its unit, the same in all views.

import { stepOf } from "./colours.js";

/** @import { Surface, Theme } from "./types.js" */

/**
 * 0 [scale] 1 × maximum; what is unknown next to it where `hatched`.
 * @param {Surface} surface
 * @param {Theme} theme
 * @param {number} x left end @param {number} y top
 * @param {{ width?: number, hatched?: string, brush?: number[] }} [options] `hatched`: words for
 *   what is hatched
 */
export function colourBar(surface, theme, x, y, { width = 120, hatched = "", brush = [] } = {}) {
  const style = { fill: theme.text, size: 10.5 };
  surface.text(x, y + 5, "0", style);
  for (let i = 0; i < width; i++)
    surface.rect(x + 10 + i, y, 1.5, 10, theme.lut.css[stepOf(i / (width - 1))]);
  surface.frame(x + 10, y, width, 10, theme.line);
  for (const end of brush)
    surface.line(
      x + 10 + Math.min(1, end) * width,
      y - 2,
      x + 10 + Math.min(1, end) * width,
      y + 12,
      theme.accent,
      2,
    );
  surface.text(x + width + 15, y + 5, "1 × maximum on training proteins", style);
  if (!hatched) return;
  const from = x + width + 205;
  surface.frame(from, y, 14, 10, theme.line);
  surface.hatch(from, y, 14, 10, theme.muted);
  surface.text(from + 19, y + 5, hatched, style);
}

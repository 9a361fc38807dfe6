// @ts-check
// Colours of changes: from a loss over nothing to a gain.

import { lutOf } from "./colours.js";
import { fixed } from "./scales.js";

/** @import { Lut, Surface, Theme } from "./types.js" */

const LIMITS = [0.1, 0.25, 0.5, 1];

/** The smallest end of the scale that holds the largest change. @param {number} largest */
export function limitOf(largest) {
  return LIMITS.find((limit) => largest <= limit) ?? 1;
}

/** The step of the scale, 0 to 255. @param {number} change @param {number} limit */
export function changeStep(change, limit) {
  return Math.max(0, Math.min(255, Math.round(127.5 + (127.5 * change) / limit)));
}

/** Scales by theme, made once. @param {{ scale: string[], scale_on_dark: string[] }} about */
export function changeScales({ scale, scale_on_dark }) {
  return { light: lutOf(scale), dark: lutOf(scale_on_dark) };
}

/**
 * -limit [scale] +limit, with the unit.
 * @param {Surface} surface
 * @param {Theme} theme
 * @param {Lut} lut
 * @param {number} limit @param {number} x @param {number} y @param {number} width
 * @param {string} [unit]
 */
export function changeBar(
  surface,
  theme,
  lut,
  limit,
  x,
  y,
  width,
  unit = "change, share of the maximum",
) {
  const style = { fill: theme.text, size: 10.5 };
  surface.text(x, y + 5, `−${limit}`, style);
  for (let i = 0; i < width; i++)
    surface.rect(x + 30 + i, y, 1.5, 10, lut.css[Math.round((255 * i) / (width - 1))]);
  surface.frame(x + 30, y, width, 10, theme.line);
  surface.text(x + width + 35, y + 5, `+${limit} ${unit}`, style);
}

/** A change with its sign, to two decimals. @param {number} change */
export function signed(change) {
  const text = fixed(Math.abs(change));
  return Number(text) === 0 ? text : `${change < 0 ? "−" : "+"}${text}`;
}

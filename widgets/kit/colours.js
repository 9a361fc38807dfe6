// @ts-check
// One colour scale for activations in every view, by theme; 256 steps.

/** @typedef {{ css: string[], rgb: Uint8Array, text: string[] }} Lut */

/** Of every category beyond the palette, as `interplm_nb/widgets/colours.py` has it. */
export const BEYOND = "#8a8a8a";

/** @param {string} hex "#rrggbb" @returns {number[]} */
export function rgbOf(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

/**
 * 256 colours between evenly spaced stops, and the better of black and white on each.
 * @param {string[]} stops
 * @returns {Lut}
 */
export function lutOf(stops) {
  const ends = stops.map(rgbOf);
  const rgb = new Uint8Array(256 * 3);
  const css = [];
  const text = [];
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (ends.length - 1);
    const low = Math.min(Math.floor(place), ends.length - 2);
    const colour = ends[low].map((from, c) =>
      Math.round(from + (place - low) * (ends[low + 1][c] - from)),
    );
    rgb.set(colour, 3 * i);
    css.push(`rgb(${colour.join(",")})`);
    text.push(luminance(colour) > 0.19 ? "#111111" : "#ffffff"); // where both contrast alike
  }
  return { css, rgb, text };
}

/** Relative luminance (WCAG 2). @param {number[]} rgb */
export function luminance(rgb) {
  const [r, g, b] = rgb.map((v) =>
    v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/**
 * The step of the scale for an activation in unit `max`; above 1 it stays at the end.
 * @param {number} value
 */
export function stepOf(value) {
  return Math.max(0, Math.min(255, Math.round(value * 255)));
}

/** @param {number[]} brush [lo, hi] or [] @param {number} value */
export function inBrush(brush, value) {
  return brush.length === 0 || (value >= brush[0] && value <= brush[1]);
}

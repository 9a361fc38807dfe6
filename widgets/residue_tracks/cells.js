// @ts-check
// Colours of residues, as pixels. Where several share a cell, it shows the strongest of them that
// the brush holds.

import { lowerBound } from "../kit/bundle.js";

/** @import { Bundle, Lut } from "../kit/types.js" */

/** @type {WeakMap<object, Uint32Array>} */
const packed = new WeakMap();

/**
 * The scale as pixels: R, G, B, A in the order of bytes.
 * @param {Lut} lut
 */
function pixelsOf(lut) {
  let pixels = packed.get(lut);
  if (!pixels) {
    pixels = new Uint32Array(256);
    const bytes = new Uint8Array(pixels.buffer);
    for (let i = 0; i < 256; i++)
      bytes.set([lut.rgb[3 * i], lut.rgb[3 * i + 1], lut.rgb[3 * i + 2], 255], 4 * i);
    packed.set(lut, pixels);
  }
  return pixels;
}

/** @param {string} css "#rrggbb" */
function pixelOf(css) {
  const pixel = new Uint32Array(1);
  new Uint8Array(pixel.buffer).set(
    [1, 3, 5].map((i) => parseInt(css.slice(i, i + 2), 16)).concat(255),
  );
  return pixel[0];
}

/**
 * RGBA of `cells` cells that cover values[first] to values[last - 1] evenly; unknown ones (NaN) are
 * transparent.
 * @param {Float32Array} values unit `max`
 * @param {number} first @param {number} last not included
 * @param {number} cells at most last - first
 * @param {number[]} brush [lo, hi] or []; what is outside takes `theme.faded`
 * @param {{ lut: Lut, faded: string }} theme
 */
export function cellPixels(values, first, last, cells, brush, theme) {
  const out = new Uint32Array(cells);
  const colours = pixelsOf(theme.lut);
  const faded = pixelOf(theme.faded);
  const [low, high] = brush.length ? brush : [-Infinity, Infinity];
  const each = (last - first) / cells;
  for (let cell = 0; cell < cells; cell++) {
    let [best, known] = [-Infinity, false];
    const end = cell + 1 === cells ? last : first + Math.floor((cell + 1) * each);
    for (let i = first + Math.floor(cell * each); i < end; i++) {
      const value = values[i];
      known ||= value === value;
      if (value > best && value >= low && value <= high) best = value;
    }
    if (known)
      out[cell] =
        best === -Infinity ? faded : colours[Math.max(0, Math.min(255, Math.round(best * 255)))];
  }
  return new Uint8ClampedArray(out.buffer);
}

/**
 * The strongest of some residues, the first of equal ones; of unknown ones the first.
 * @param {Float32Array} values @param {number} first @param {number} last not included
 */
export function strongest(values, first, last) {
  let at = first;
  for (let i = first + 1; i < last; i++) {
    if (values[i] > values[at] || (Number.isNaN(values[at]) && !Number.isNaN(values[i]))) at = i;
  }
  return at;
}

/**
 * Runs of unknown residues: [first, last), in order.
 * @param {Float32Array} values @param {number} first @param {number} last
 * @returns {[number, number][]}
 */
export function unknownRuns(values, first, last) {
  /** @type {[number, number][]} */
  const runs = [];
  for (let i = first; i < last; i++) {
    if (values[i] === values[i]) continue;
    if (runs.length && runs[runs.length - 1][1] === i) runs[runs.length - 1][1]++;
    else runs.push([i, i + 1]);
  }
  return runs;
}

/**
 * How many of a protein's active residues lie within the brush.
 * @param {Bundle} bundle @param {number} place @param {number[]} brush
 */
export function activeWithin(bundle, place, brush) {
  const { index, value } = bundle.sparse[0];
  const [first, last] = [
    lowerBound(index, bundle.offsets[place]),
    lowerBound(index, bundle.offsets[place + 1]),
  ];
  if (brush.length === 0) return last - first;
  let n = 0;
  for (let i = first; i < last; i++) if (value[i] >= brush[0] && value[i] <= brush[1]) n++;
  return n;
}

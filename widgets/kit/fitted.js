// @ts-check
// Text that must fit next to something: as wide as it is drawn by a `Surface`.

import { SANS } from "./surface.js";

/** @type {CanvasRenderingContext2D | null} */
let pen = null;
/** @type {Map<string, string>} */
const cut = new Map();

/**
 * Points from the left end to the right.
 * @param {string} text
 * @param {number} [size]
 * @param {number} [weight]
 */
export function widthOf(text, size = 11, weight = 400) {
  pen ??= /** @type {CanvasRenderingContext2D} */ (
    document.createElement("canvas").getContext("2d")
  );
  pen.font = `${weight} ${size}px ${SANS}`;
  return pen.measureText(text).width;
}

/**
 * The text, or as much of it as fits, with an ellipsis; empty where not one letter does.
 * @param {string} text @param {number} width points @param {number} [size] @param {number} [weight]
 */
export function fitted(text, width, size = 11, weight = 400) {
  const key = `${width}/${size}/${weight}/${text}`;
  const known = cut.get(key);
  if (known !== undefined) return known;
  if (cut.size > 5000) cut.clear();
  const made = cutTo(text, width, size, weight);
  cut.set(key, made);
  return made;
}

/** @param {string} text @param {number} width @param {number} size @param {number} weight */
function cutTo(text, width, size, weight) {
  if (widthOf(text, size, weight) <= width) return text;
  const letters = Array.from(text);
  let [low, high] = [0, letters.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (widthOf(`${letters.slice(0, middle).join("")}…`, size, weight) <= width) low = middle;
    else high = middle - 1;
  }
  return low ? `${letters.slice(0, low).join("").trimEnd()}…` : "";
}

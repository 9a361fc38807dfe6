// @ts-check
// What several views say in the same words.

import { fixed } from "./scales.js";

/** "0.50 to 1.00". @param {number[]} brush [lo, hi] */
export function rangeWords([low, high]) {
  return `${fixed(low)} to ${fixed(high)}`;
}

/** "activation 0.63", or that it is unknown. @param {number | null} value NaN or null: unknown */
export function activationWords(value) {
  return value === null || Number.isNaN(value)
    ? "activation unknown"
    : `activation ${fixed(value)}`;
}

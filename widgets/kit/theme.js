// @ts-check
// Light and dark: colours are read from the page, so that views follow Jupyter's theme, or the
// system's in an exported page.

import { luminance } from "./colours.js";

/** @import { Lut } from "./types.js" */

/**
 * @typedef {object} Theme
 * @property {boolean} dark
 * @property {string} text
 * @property {string} muted
 * @property {string} line
 * @property {string} ground
 * @property {string} accent
 * @property {string} bar
 * @property {string} faded
 * @property {Lut} lut
 */

/**
 * @param {HTMLElement} root an element of class iplm-view
 * @param {{ light: Lut, dark: Lut }} scales
 * @returns {Theme}
 */
export function readTheme(root, scales) {
  const style = getComputedStyle(root);
  const ground = opaque(style.backgroundColor);
  const dark = luminance(ground) < 0.3;
  root.classList.toggle("iplm-dark", dark);
  const of = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  return {
    dark,
    text: style.color,
    muted: of("--iplm-muted"),
    line: of("--iplm-line"),
    ground: `rgb(${ground.join(",")})`,
    accent: dark ? "#f0a830" : "#c04e00",
    bar: dark ? "#5aa5d6" : "#2f75b0",
    faded: dark ? "#363636" : "#f1f1f1",
    lut: dark ? scales.dark : scales.light,
  };
}

/**
 * @param {string} css "rgb(...)" or "rgba(...)"
 * @returns {number[]} white where nothing is painted
 */
function opaque(css) {
  const parts = (css.match(/[\d.]+/g) ?? []).map(Number);
  return parts.length < 3 || parts[3] === 0 ? [255, 255, 255] : parts.slice(0, 3);
}

/**
 * Calls back when Jupyter's or the system's theme changes.
 * @param {() => void} changed
 * @param {AbortSignal} signal
 */
export function watchTheme(changed, signal) {
  const later = () => requestAnimationFrame(changed); // styles follow the attribute
  const observer = new MutationObserver(later);
  const attributeFilter = ["data-jp-theme-light", "data-jp-theme-name", "data-theme", "class"];
  for (const element of [document.body, document.documentElement])
    observer.observe(element, { attributes: true, attributeFilter });
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", later, { signal });
  signal.addEventListener("abort", () => observer.disconnect());
}

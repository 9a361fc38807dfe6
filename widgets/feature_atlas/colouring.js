// @ts-check
// What a point's colour says: a category, a cluster, or a number on the scale.

import { BEYOND, luminance, rgbOf } from "../kit/colours.js";

/** @import { Theme } from "../kit/types.js" */

/** @typedef {import("../kit/dots.js").DotStyle} DotStyle */
/**
 * Points of one name; an empty fill is hollow.
 * @typedef {object} Group
 * @property {string} name
 * @property {string} fill
 * @property {number[]} points
 */
/**
 * `kinds` number the style of each point, 0 is hollow: it has nothing to show; styles of the second
 * half are the same, faded.
 * @typedef {object} Colouring
 * @property {Uint16Array} kinds
 * @property {DotStyle[]} styles
 * @property {Group[] | null} groups
 * @property {Scale | null} scale
 */
/**
 * `share` is where a value is on the colours, 0 to 1.
 * @typedef {object} Scale
 * @property {string} title
 * @property {number} low
 * @property {number} high
 * @property {(value: number) => number} share
 * @property {string} none
 */

/** Value and name of each way to colour. */
export const WAYS = [
  { value: "category", name: "category" },
  { value: "cluster", name: "cluster" },
  { value: "density", name: "density" },
  { value: "f1", name: "F1 on test" },
];

const HOLLOW = { name: "no concept", fill: "" };

const STEPS = 64; // of a scale
const FADED = 0.16;
const FAINT = 1.9; // contrast with the page below which a dot needs an outline that is seen

/**
 * @param {import("./points.js").Points} points
 * @param {string} way one of `WAYS`
 * @param {Theme} theme
 * @param {Record<string, string>} categories colours by category
 * @param {string[]} clusters colours by number of the cluster
 * @param {Record<string, string>} [names] of clusters that have one, by number
 * @returns {Colouring}
 */
export function colouring(points, way, theme, categories, clusters, names = {}) {
  if (way === "density" || way === "f1")
    return byScale(points, scaleOf(points, way), points[way], theme);
  const { category } = points.record;
  const clustered = way === "cluster" && points.cluster;
  /** @type {(n: number) => { name: string, fill: string }} */
  const look = clustered
    ? (n) =>
        n < 0
          ? { name: "no cluster", fill: "" }
          : { name: clusterName(n, names), fill: clusters[n] ?? BEYOND }
    : (n) => (n < 0 ? HOLLOW : { name: category[n], fill: categories[category[n]] ?? BEYOND });
  return byGroup(clustered || points.category, look, theme);
}

/** @param {number} n of a cluster @param {Record<string, string>} names by number */
export function clusterName(n, names) {
  return names[n] ? `cluster ${n}: ${names[n]}` : `cluster ${n}`;
}

/**
 * @param {Int32Array} numbers of groups @param {(n: number) => { name: string, fill: string }} look
 * @param {Theme} theme
 * @returns {Colouring}
 */
function byGroup(numbers, look, theme) {
  /** @type {Map<number, number[]>} */
  const members = new Map();
  for (const [i, n] of numbers.entries()) {
    if (!members.has(n)) members.set(n, []);
    members.get(n)?.push(i);
  }
  const groups = [...members].map(([n, own]) => ({ ...look(n), points: own }));
  groups.sort((a, b) => Number(!a.fill) - Number(!b.fill) || b.points.length - a.points.length);
  const fills = ["", ...new Set(groups.map((group) => group.fill).filter(Boolean))];
  const kinds = new Uint16Array(numbers.length);
  for (const group of groups) for (const i of group.points) kinds[i] = fills.indexOf(group.fill);
  return { kinds, styles: stylesOf(fills, theme), groups, scale: null };
}

/** @param {import("./points.js").Points} points @param {string} way @returns {Scale} */
function scaleOf(points, way) {
  if (way === "f1") {
    const title = "F1 on test of the best concept on validation";
    return {
      title,
      low: 0,
      high: 1,
      share: (value) => Math.max(0, Math.min(1, value)),
      none: HOLLOW.name,
    };
  }
  const found = points.density.filter((value) => value > 0);
  const low = found.reduce((a, b) => Math.min(a, b), 1);
  const high = found.reduce((a, b) => Math.max(a, b), low);
  const span = Math.log(high / low) || 1;
  const share = (/** @type {number} */ value) =>
    Math.max(0, Math.min(1, Math.log(value / low) / span));
  return { title: "density: share of residues, logarithmic", low, high, share, none: "" };
}

/**
 * @param {import("./points.js").Points} points
 * @param {Scale} scale
 * @param {Float32Array} values NaN: none
 * @param {Theme} theme
 * @returns {Colouring}
 */
function byScale(points, scale, values, theme) {
  const fills = Array.from(
    { length: STEPS },
    (_, i) => theme.lut.css[Math.round((i * 255) / (STEPS - 1))],
  );
  const kinds = Uint16Array.from(values, (value) =>
    Number.isNaN(value) ? 0 : 1 + Math.round(scale.share(value) * (STEPS - 1)),
  );
  return { kinds, styles: stylesOf(["", ...fills], theme, theme.line), groups: null, scale };
}

/**
 * @param {string[]} fills @param {Theme} theme
 * @param {string} [line] outline; where it is left out, what keeps dots apart
 * @returns {DotStyle[]} each whole, then each faded; hollow ones are small, and so calm
 */
function stylesOf(fills, theme, line) {
  const outline = (/** @type {string} */ fill) =>
    line ?? (contrast(fill, theme.ground) > FAINT ? theme.ground : theme.muted);
  const hollow = { fill: "", stroke: theme.muted, opacity: 0.7, size: 0.6 };
  const whole = fills.map((fill) =>
    fill ? { fill, stroke: outline(fill), opacity: 1, size: 1 } : hollow,
  );
  return [...whole, ...whole.map((style) => ({ ...style, opacity: FADED }))];
}

/**
 * Contrast of two colours (WCAG 2), 1 to 21.
 * @param {string} a
 * @param {string} b "#rrggbb" or "rgb(...)"
 */
export function contrast(a, b) {
  const numbers = (/** @type {string} */ css) =>
    css[0] === "#" ? rgbOf(css) : (css.match(/\d+/g) ?? []).map(Number);
  const [low, high] = [luminance(numbers(a)), luminance(numbers(b))].sort((p, q) => p - q);
  return (high + 0.05) / (low + 0.05);
}

/**
 * The order of drawing: what is faded first, then hollow points, then the others by number.
 * @param {Colouring} coloured
 * @param {Set<number> | null} listed points that are not faded; null: all
 * @returns {{ order: Uint32Array, kinds: Uint16Array }}
 */
export function layered({ kinds, styles }, listed) {
  const faded = (/** @type {number} */ i) => listed !== null && !listed.has(i);
  const level = Uint8Array.from(kinds, (kind, i) => (faded(i) ? 0 : kind === 0 ? 1 : 2));
  const order = new Uint32Array(kinds.length);
  let n = 0;
  for (const drawn of [0, 1, 2])
    for (let i = 0; i < level.length; i++) if (level[i] === drawn) order[n++] = i;
  return { order, kinds: kinds.map((kind, i) => (faded(i) ? kind + styles.length / 2 : kind)) };
}

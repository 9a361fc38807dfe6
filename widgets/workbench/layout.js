// @ts-check
// Which views are on the screen together, by the room that there is. Numbers only.

/**
 * @typedef {object} Pane views that take turns in one place, each behind its tab
 * @property {string} name its place: style.css lays the places out
 * @property {string} label of its tabs
 * @property {string} trait of the workbench: the view in front; empty where there is one alone
 * @property {string[]} views
 */

/** @type {Pane[]} */
export const PANES = [
  { name: "list", label: "All features", trait: "list_tab", views: ["table", "atlas"] },
  {
    name: "feature",
    label: "The selected feature",
    trait: "feature_tab",
    views: ["histogram", "logo", "concepts", "steering"],
  },
  { name: "tracks", label: "Residue tracks", trait: "", views: ["tracks"] },
  { name: "structure", label: "Structure", trait: "", views: ["structure"] },
];

/** @type {Record<string, string>} */
export const TITLES = {
  table: "Table",
  atlas: "Map",
  histogram: "Histogram",
  logo: "Logo",
  concepts: "Concepts",
  steering: "Steering",
  tracks: "Tracks",
  structure: "Structure",
};

/**
 * Layouts, the roomiest first: the least width at which each is used, the height from which on it
 * is, the least height that it takes, so that its views are legible, and the most, beyond which
 * they would be stretched.
 */
const LAYOUTS = [
  { name: "all", width: 1800, height: 1000, least: 1000, most: 1600 }, // every view, no tabs
  { name: "four", width: 860, height: 560, least: 560, most: 1400 }, // two by two
  { name: "low", width: 860, height: 0, least: 440, most: 560 }, // list, feature, the others
  { name: "tall", width: 560, height: 640, least: 800, most: 1400 }, // list, two, tracks
];

/**
 * @param {number} width of the workbench @param {number} room height that it may fill, in pixels
 * @returns {{ name: string, height: number }} height 0: one column, as long as it gets
 */
export function layoutFor(width, room) {
  const found = LAYOUTS.find((layout) => width >= layout.width && room >= layout.height);
  return found
    ? { name: found.name, height: clamped(Math.floor(room), found.least, found.most) }
    : { name: "column", height: 0 };
}

/** @param {number} value @param {number} least @param {number} most */
function clamped(value, least, most) {
  return Math.min(Math.max(value, least), most);
}

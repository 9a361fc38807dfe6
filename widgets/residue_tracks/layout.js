// @ts-check
// Where rows and residues of the tracks are: numbers only, nothing about the page.

/** @import { Protein } from "../kit/types.js" */

/**
 * `place`: number in the bundle; `shift`: column of position 1
 * @typedef {object} Row
 * @property {number} place
 * @property {number} shift
 */
/**
 * @typedef {object} Geometry points of the picture
 * @property {number} left where sequences begin @property {number} width of the sequences' part
 * @property {number} top of the rows @property {number} bottom of the rows
 * @property {number} row height of one @property {number} band where a row's annotations begin
 */

export const STRIP = 16; // height of the feature's cells
export const PINNED = 9; // of a pinned feature's
export const RULER = 20;
export const BEST = 3; // height of the best concept's spans; of the others one less
export const LETTERS = 8; // letters are drawn in cells at least this wide
export const LETTER = 11; // width of one in which letters are easily read
export const WIDEST = 20; // of a cell
const GAP = 5; // between rows
const USUAL = 0.75; // share of the proteins that are seen whole at first

/**
 * Proteins, by their numbers, in the order of the rows; equal ones keep the bundle's order, which
 * is by maximum.
 * @param {Protein[]} proteins @param {string} order "maximum", "mean", "position", "aligned"
 * @returns {number[]}
 */
export function orderedBy(proteins, order) {
  const places = proteins.map((_, i) => i);
  // silent proteins come last
  const late = (/** @type {number | null} */ position) => position ?? Infinity;
  const keys = {
    mean: (/** @type {Protein} */ p) => -p.mean,
    position: (/** @type {Protein} */ p) => late(p.position),
  };
  const key = /** @type {any} */ (keys)[order] ?? ((/** @type {Protein} */ p) => -p.maximum);
  return places.sort((a, b) => {
    const [first, second] = [key(proteins[a]), key(proteins[b])];
    return first < second ? -1 : first > second ? 1 : a - b;
  });
}

/**
 * The column of position 1: 0, or, aligned, such that the maximum is in column 0.
 * @param {Protein} protein @param {string} order
 */
export function shiftOf(protein, order) {
  return order === "aligned" ? 1 - (protein.position ?? 1) : 0;
}

/**
 * First column, and the one after the last, of all rows.
 * @param {Protein[]} proteins @param {string} order
 * @returns {[number, number]}
 */
export function extent(proteins, order) {
  let [low, high] = proteins.length ? [Infinity, -Infinity] : [0, 1];
  for (const protein of proteins) {
    const shift = shiftOf(protein, order);
    low = Math.min(low, shift);
    high = Math.max(high, shift + protein.sequence.length);
  }
  return [low, high];
}

/**
 * Residues that are seen at first: all, or, where a few proteins are more than twice as long as
 * most, as many as most have, so that these get the width.
 * @param {Protein[]} proteins
 */
export function firstSeen(proteins) {
  const lengths = proteins.map(({ sequence }) => sequence.length).sort((a, b) => a - b);
  const longest = lengths[lengths.length - 1] ?? 1;
  const most = lengths[Math.floor(USUAL * (lengths.length - 1))] ?? 1;
  return longest > 2 * most ? most : longest;
}

/**
 * @param {number} width @param {number} height of the picture
 * @param {{ pinned: number, legend: number, bar: number }} taken number of pinned features,
 *   height of the legend, width of the scrollbar
 * @returns {Geometry}
 */
export function geometry(width, height, { pinned, legend, bar }) {
  const left = Math.round(width < 480 ? 80 : Math.min(230, Math.max(90, width * 0.24)));
  const band = STRIP + PINNED * pinned + 1;
  const bottom = Math.max(RULER, height - legend);
  return {
    left,
    width: Math.max(20, width - left - 38 - bar),
    top: RULER,
    bottom,
    row: band + 2 * BEST + GAP,
    band,
  };
}

/**
 * The rows that are seen, the last one not included.
 * @param {Geometry} g @param {number} scroll @param {number} n number of rows
 * @returns {[number, number]}
 */
export function visible(g, scroll, n) {
  return [
    Math.max(0, Math.floor(scroll / g.row)),
    Math.min(n, Math.ceil((scroll + g.bottom - g.top) / g.row)),
  ];
}

/**
 * The row at a height of the picture, or -1.
 * @param {Geometry} g
 * @param {number} scroll
 * @param {number} n
 * @param {number} y
 */
export function rowAt(g, scroll, n, y) {
  if (y < g.top || y >= g.bottom) return -1;
  const row = Math.floor((y - g.top + scroll) / g.row);
  return row < n ? row : -1;
}

/**
 * The scroll position that shows a row whole, as near as can be to the present one.
 * @param {Geometry} g @param {number} scroll @param {number} row
 */
export function scrolledTo(g, scroll, row) {
  const room = g.bottom - g.top;
  return Math.max(0, Math.min(row * g.row, Math.max(scroll, (row + 1) * g.row - room)));
}

/** The horizontal axis: columns of residues, zoomed and panned within all columns. */
export class Axis {
  constructor() {
    this.low = 0;
    this.high = 1;
    this.width = 1; // points
    this.from = 0; // the column at the left edge, a fraction
    this.scale = 1; // points per residue
    this.fitted = true;
  }

  /** The scale at which all columns are seen. */
  get least() {
    return Math.min(WIDEST, this.width / (this.high - this.low));
  }

  /** @param {number} low @param {number} high @param {number} width */
  cover(low, high, width) {
    Object.assign(this, { low, high, width });
    if (this.fitted) this.fit();
    else this.zoomTo(this.scale, 0);
  }

  fit() {
    this.fitted = true;
    this.scale = this.least;
    this.from = this.low;
  }

  /** Zoom to some columns, as far as there are such. @param {number} low @param {number} high */
  show(low, high) {
    this.zoomTo(this.width / (high - low), 0);
    this.pan(low - this.from);
  }

  /**
   * @param {number} scale
   * @param {number} x the point, from the left edge, that stays where it is
   */
  zoomTo(scale, x) {
    const still = this.from + x / this.scale;
    this.scale = Math.max(this.least, Math.min(WIDEST, scale));
    this.fitted = this.scale <= this.least * 1.0001;
    this.from = still - x / this.scale;
    this.pan(0);
  }

  /** @param {number} columns @returns {boolean} whether there was anywhere to go */
  pan(columns) {
    const before = this.from;
    this.from = Math.max(
      this.low,
      Math.min(this.from + columns, this.high - this.width / this.scale),
    );
    if (this.width / this.scale >= this.high - this.low) this.from = this.low;
    return Math.abs(this.from - before) > 1e-9;
  }

  /** Bring a column into view, to the middle if it is not near. @param {number} column */
  reveal(column) {
    const seen = this.width / this.scale;
    if (column >= this.from && column + 1 <= this.from + seen) return;
    const near = Math.min(5, seen / 4);
    if (column < this.from && this.from - column <= near) this.pan(column - near - this.from);
    else if (column > this.from && column + 1 - this.from - seen <= near)
      this.pan(column + 1 + near - this.from - seen);
    else this.pan(column + 0.5 - seen / 2 - this.from);
  }

  /** Where a column begins, from the left edge. @param {number} column */
  x(column) {
    return (column - this.from) * this.scale;
  }

  /** The column at a point from the left edge, a fraction. @param {number} x */
  column(x) {
    return this.from + x / this.scale;
  }
}

// @ts-check
// The features of the map: where they lie, and which is near.

/** @import { Packed } from "../kit/types.js" */

/** Features with coordinates, in the order of their numbers; arrays hold one value per point. */
export class Points {
  /**
   * @param {Packed} table the packed feature list, with columns x and y
   */
  constructor({ record, arrays }) {
    const isMapped = (/** @type {number} */ row) =>
      Number.isFinite(arrays.x[row]) && Number.isFinite(arrays.y[row]);
    const mapped = Array.from(/** @type {Int32Array} */ (arrays.feature).keys()).filter(isMapped);
    const take = (/** @type {string} */ name) =>
      arrays[name].constructor.from(mapped.map((row) => arrays[name][row]));
    this.record = record;
    this.n = mapped.length;
    this.nFeatures = arrays.feature.length;
    /** @type {Int32Array} */ this.feature = take("feature");
    /** @type {Float32Array} */ this.x = take("x");
    /** @type {Float32Array} */ this.y = take("y");
    /** @type {Int32Array | null} -1: none; null: clusters do not recur */
    this.cluster = arrays.cluster ? take("cluster") : null;
    /** @type {Int32Array} number of the name, -1: none */ this.concept = take("concept");
    /** @type {Int32Array} number of the name, -1: none */ this.category = take("category");
    /** @type {Float32Array} share of residues */ this.density = take("density");
    /** @type {Float32Array} NaN where there is no concept */ this.f1 = take("f1_per_domain");
    this.places = new Map(Array.from(this.feature, (feature, i) => [feature, i]));
    this.grid = new Grid(this.x, this.y);
  }

  /** @param {number} feature its point, or -1 */
  place(feature) {
    return this.places.get(feature) ?? -1;
  }

  /** @param {number} i */
  conceptOf(i) {
    return this.concept[i] < 0 ? "" : this.record.concept[this.concept[i]];
  }

  /** @param {number} i */
  categoryOf(i) {
    return this.category[i] < 0 ? "" : this.record.category[this.category[i]];
  }
}

/**
 * x0, y0, x1, y1 of all.
 * @param {Float32Array} x
 * @param {Float32Array} y
 * @returns {[number, number, number, number]}
 */
export function extent(x, y) {
  if (x.length === 0) return [-1, -1, 1, 1];
  const low = (/** @type {Float32Array} */ values) => values.reduce((a, b) => Math.min(a, b));
  const high = (/** @type {Float32Array} */ values) => values.reduce((a, b) => Math.max(a, b));
  return [low(x), low(y), high(x), high(y)];
}

const PER_CELL = 2;

/** Points by square cells, so that a pointer move looks at a few of them. */
export class Grid {
  /** @param {Float32Array} x @param {Float32Array} y */
  constructor(x, y) {
    this.x = x;
    this.y = y;
    const [x0, y0, x1, y1] = extent(x, y);
    this.x0 = x0;
    this.y0 = y0;
    const side = Math.max(x1 - x0, y1 - y0) || 1;
    this.cell = side / Math.ceil(Math.sqrt(x.length / PER_CELL) + 1);
    this.columns = Math.floor((x1 - x0) / this.cell) + 1;
    this.rows = Math.floor((y1 - y0) / this.cell) + 1;
    /** Where each cell begins in `items`. */
    this.starts = new Uint32Array(this.columns * this.rows + 1);
    /** Points by cell. */
    this.items = new Uint32Array(x.length);
    this.fill();
  }

  fill() {
    const { x, y, starts, items } = this;
    const cells = Uint32Array.from(x, (_, i) => this.column(x[i]) + this.columns * this.row(y[i]));
    for (const cell of cells) starts[cell + 1]++;
    for (let c = 1; c < starts.length; c++) starts[c] += starts[c - 1];
    const next = starts.slice();
    cells.forEach((cell, i) => (items[next[cell]++] = i));
  }

  /** @param {number} x */
  column(x) {
    return Math.max(0, Math.min(this.columns - 1, Math.floor((x - this.x0) / this.cell)));
  }

  /** @param {number} y */
  row(y) {
    return Math.max(0, Math.min(this.rows - 1, Math.floor((y - this.y0) / this.cell)));
  }

  /**
   * The point nearest to a place, of those no further than `within`; -1: none.
   * @param {number} x @param {number} y @param {number} within
   */
  nearest(x, y, within) {
    const { starts, items } = this;
    let [best, least] = [-1, within * within];
    for (let row = this.row(y - within); row <= this.row(y + within); row++) {
      const line = row * this.columns;
      for (
        let at = starts[line + this.column(x - within)];
        at < starts[line + this.column(x + within) + 1];
        at++
      ) {
        const away = (this.x[items[at]] - x) ** 2 + (this.y[items[at]] - y) ** 2;
        if (away <= least) [best, least] = [items[at], away];
      }
    }
    return best;
  }
}

/**
 * The nearest point in a direction, within 45 degrees of it; what lies straight ahead counts as
 * nearer. -1: none.
 * @param {Points} points
 * @param {{ x: number, y: number }} from
 * @param {number[]} direction a unit vector along an axis
 */
export function toward({ x, y }, from, [dx, dy]) {
  let [best, least] = [-1, Infinity];
  for (let i = 0; i < x.length; i++) {
    const ahead = (x[i] - from.x) * dx + (y[i] - from.y) * dy;
    const aside = Math.abs((x[i] - from.x) * dy + (y[i] - from.y) * dx);
    const cost = Math.hypot(ahead, 2 * aside);
    if (ahead > 0 && aside <= ahead && cost < least) [best, least] = [i, cost];
  }
  return best;
}

/**
 * The points inside a polygon, by crossings.
 * @param {{ x: Float32Array, y: Float32Array }} points @param {number[][]} polygon corners [x, y]
 * @returns {number[]}
 */
export function inside({ x, y }, polygon) {
  const isIn = (/** @type {number} */ i) => {
    let odd = false;
    for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a++) {
      const [[ax, ay], [bx, by]] = [polygon[a], polygon[b]];
      if (ay > y[i] !== by > y[i] && x[i] < ((bx - ax) * (y[i] - ay)) / (by - ay) + ax) odd = !odd;
    }
    return odd;
  };
  return Array.from(x.keys()).filter(isIn);
}

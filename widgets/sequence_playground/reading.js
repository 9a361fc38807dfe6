// @ts-check
// What the kernel says about a sequence and its mutant, as
// `interplm_nb/widgets/playground/result.py` packs it.

/** @import { Packed } from "../kit/types.js" */

/** @typedef {{ maximum: number, position: number | null }} Peak */
/** @typedef {{ reference: number, mutant: number, change: number, position: number }} Change */
/**
 * @typedef {object} FeatureRow
 * @property {number} feature
 * @property {{ concept: string, category: string, f1_per_domain: number } | null} best its concept,
 *   chosen on validation
 * @property {boolean} chosen false: shown because it is selected
 * @property {Peak} reference
 * @property {Peak} [mutant]
 * @property {Change | null} change
 */
/**
 * @typedef {object} Stretch
 * @property {string} which "reference" or "mutant"
 * @property {string} concept
 * @property {string} category
 * @property {number} feature
 * @property {number} start
 * @property {number} end
 * @property {number} confidence
 */
/**
 * @typedef {object} Lane the surest feature of a concept, its stretches
 * @property {string} concept
 * @property {string} category
 * @property {number} feature
 * @property {Stretch[]} reference
 * @property {Stretch[]} mutant
 */

export class Reading {
  /** @param {Packed} packed */
  constructor({ record, arrays }) {
    /** @type {any} */
    this.record = record;
    this.arrays = arrays;
    /** @type {FeatureRow[]} */
    this.rows = record.rows;
    /** @type {string} */
    this.reference = record.sequence;
    /** @type {string} the letters that are shown */
    this.letters = record.mutant ?? record.sequence;
    this.length = this.letters.length;
    this.mutated = record.mutant !== null;
    /** @type {Map<string, Float32Array>} */
    this.dense = new Map();
    this.places = new Map(this.rows.map((row, i) => [row.feature, i]));
    /** @type {Lane[]} */
    this.lanes = lanesOf(record.stretches);
  }

  /** The number of a feature's row, or -1. @param {number} feature */
  place(feature) {
    return this.places.get(feature) ?? -1;
  }

  /**
   * A feature along the sequence (unit `max`), or its change.
   * @param {number} row @param {"reference" | "mutant" | "change"} which
   * @returns {Float32Array}
   */
  values(row, which) {
    const key = `${row}/${which}`;
    let values = this.dense.get(key);
    if (!values) {
      values = which === "change" ? this.difference(row) : this.spread(row, which);
      this.dense.set(key, values);
    }
    return values;
  }

  /** @param {number} row @param {string} which */
  spread(row, which) {
    const values = new Float32Array(this.length);
    const [bounds, index, value] = ["bounds", "index", "value"].map(
      (name) => this.arrays[`${which}_${name}`],
    );
    for (let i = bounds[row]; i < bounds[row + 1]; i++) values[index[i]] = value[i];
    return values;
  }

  /** @param {number} row */
  difference(row) {
    const before = this.values(row, "reference");
    return this.values(row, "mutant").map((value, i) => value - before[i]);
  }

  /** What is shown of a feature: on the mutant, where there is one. @param {number} row */
  shown(row) {
    return this.values(row, this.mutated ? "mutant" : "reference");
  }
}

/**
 * One lane per concept, in the order of their surest stretch.
 * @param {Stretch[]} stretches the surest first
 */
function lanesOf(stretches) {
  /** @type {Map<string, any>} */
  const lanes = new Map();
  for (const stretch of stretches) {
    const { concept, category, feature } = stretch;
    if (!lanes.has(concept))
      lanes.set(concept, { concept, category, feature, reference: [], mutant: [] });
    lanes.get(concept)[stretch.which].push(stretch);
  }
  return [...lanes.values()];
}

/**
 * One number per cell across: of several residues the one that is largest in size, so that none is
 * lost.
 * @param {Float32Array} values @param {number} cells
 * @returns {Float32Array}
 */
export function cellsAcross(values, cells) {
  const made = new Float32Array(cells);
  for (let cell = 0; cell < cells; cell++) {
    const first = Math.floor((cell * values.length) / cells);
    const last = Math.max(first + 1, Math.ceil(((cell + 1) * values.length) / cells));
    for (let i = first; i < last; i++)
      if (Math.abs(values[i]) > Math.abs(made[cell])) made[cell] = values[i];
  }
  return made;
}

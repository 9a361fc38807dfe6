// @ts-check
// One feature as `interplm_nb/widgets/bundle.py` packs it.

/** @import { Link, Packed } from "./types.js" */

/**
 * @typedef {object} Span
 * @property {number} start
 * @property {number} end
 * @property {string} concept
 * @property {string} category
 * @property {number} instance
 */
/**
 * @typedef {object} Protein
 * @property {string} accession
 * @property {string} name
 * @property {string} organism
 * @property {string} sequence
 * @property {number} maximum
 * @property {number} mean
 * @property {number | null} position
 * @property {Span[]} spans
 * @property {boolean} structure
 */
/** @typedef {{ index: Uint32Array, value: Float32Array }} Sparse */

export class Bundle {
  /** @param {Packed} packed */
  constructor({ record, arrays }) {
    /** @type {any} */
    this.record = record;
    this.feature = record.feature;
    /** @type {Protein[]} */
    this.proteins = record.proteins;
    this.edges = arrays.edges;
    this.counts = {
      residues: {
        total: arrays.residues_total,
        annotated: arrays.residues_annotated ?? null,
        zero: record.zero.residues,
      },
      proteins: {
        total: arrays.proteins_total,
        annotated: arrays.proteins_annotated ?? null,
        zero: record.zero.proteins,
      },
    };
    /** @type {Sparse[]} the feature itself, then the pinned ones */
    this.sparse = [
      { index: arrays.index, value: arrays.value },
      ...record.pinned.map((/** @type {any} */ _, /** @type {number} */ i) => ({
        index: arrays[`pinned_${i}_index`],
        value: arrays[`pinned_${i}_value`],
      })),
    ];
    /** Where each protein begins, over the residues of all. */
    this.offsets = new Uint32Array(this.proteins.length + 1);
    this.proteins.forEach(
      (protein, i) => (this.offsets[i + 1] = this.offsets[i] + protein.sequence.length),
    );
    /** @type {Map<string, Float32Array>} */
    this.dense = new Map();
    this.places = new Map(this.proteins.map((protein, i) => [protein.accession, i]));
  }

  /** The upper end of the activations' axis. */
  get top() {
    return this.edges[this.edges.length - 1];
  }

  /** @param {string} accession number of the protein, or -1 */
  place(accession) {
    return this.places.get(accession) ?? -1;
  }

  /**
   * Activations along one protein (unit `max`), one per residue.
   * @param {number} protein its number in `proteins`
   * @param {number} which 0: the feature; 1, 2, ...: a pinned one
   * @returns {Float32Array}
   */
  values(protein, which = 0) {
    const key = `${protein}/${which}`;
    const known = this.dense.get(key);
    if (known) return known;
    const { index, value } = this.sparse[which];
    const [first, last] = [this.offsets[protein], this.offsets[protein + 1]];
    const values = new Float32Array(last - first);
    for (let i = lowerBound(index, first); i < index.length && index[i] < last; i++)
      values[index[i] - first] = value[i];
    this.dense.set(key, values);
    return values;
  }

  /**
   * Does this bundle answer what is selected?
   * @param {Link} link
   */
  answers(link) {
    const pinned = this.record.pinned.map((/** @type {any} */ p) => p.feature);
    const { asked } = this.record;
    const accession = link.get("accession");
    const here = (/** @type {string} */ a) => this.places.has(a);
    return (
      this.feature === link.get("feature") &&
      String(pinned) === String(link.get("pinned")) &&
      (!accession || here(accession) || accession === asked.accession) &&
      (String(link.get("accessions")) === String(asked.accessions) ||
        link.get("accessions").every(here))
    );
  }
}

/**
 * The first place whose value is not below `wanted`, in an ascending array.
 * @param {ArrayLike<number>} sorted
 * @param {number} wanted
 */
export function lowerBound(sorted, wanted) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

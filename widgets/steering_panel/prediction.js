// @ts-check
// What the model predicts, as `interplm_nb/widgets/steering/steered.py` packs it.

import { limitOf } from "../kit/changes.js";

/** @import { Packed } from "../kit/types.js" */

/** @typedef {"unsteered" | "steered" | "control"} Which */

export class Prediction {
  /**
   * @param {Packed} packed
   * @param {{ groups: { letters: string }[], background: number[] }} about
   */
  constructor({ record, arrays }, { groups, background }) {
    /** @type {any} */
    this.record = record;
    this.arrays = arrays;
    /** @type {string} */
    this.sequence = record.sequence;
    /** @type {number} the first residue that is predicted */
    this.first = record.first;
    this.n = arrays.unsteered.length / 20;
    /** Amino acids from above, by chemistry. */
    this.rows = groups.flatMap(({ letters }) => [...letters]);
    this.columns = this.rows.map((letter) => record.letters.indexOf(letter));
    this.background = background;
    this.limit = limitOf(this.largest());
    /** The residue whose prediction moves most. */
    this.most = this.first + this.farthest();
  }

  /** The last residue. */
  get last() {
    return this.first + this.n - 1;
  }

  /** @param {number} position @param {string} letter @param {Which} which */
  at(position, letter, which) {
    const column = this.record.letters.indexOf(letter);
    return this.arrays[which][(position - this.first) * 20 + column];
  }

  /** The largest change of a probability, by the feature or its control. */
  largest() {
    let most = 0;
    for (const which of ["steered", "control"])
      this.arrays[which].forEach((/** @type {number} */ p, /** @type {number} */ i) => {
        most = Math.max(most, Math.abs(p - this.arrays.unsteered[i]));
      });
    return most;
  }

  farthest() {
    const far = Array.from({ length: this.n }, (_, i) => this.moved(this.first + i, "steered"));
    return far.indexOf(Math.max(...far));
  }

  /** Total variation at a residue, 0 to 1. @param {number} position @param {Which} which */
  moved(position, which) {
    const start = (position - this.first) * 20;
    let sum = 0;
    for (let i = start; i < start + 20; i++)
      sum += Math.abs(this.arrays[which][i] - this.arrays.unsteered[i]);
    return sum / 2;
  }

  /**
   * A row of a heat map: one number per cell across; of several residues that which is largest in
   * size.
   * @param {number} row @param {Which} which @param {boolean} change less the unsteered
   * @param {number} cells
   */
  across(row, which, change, cells) {
    const made = new Float32Array(cells);
    const { unsteered } = this.arrays;
    for (let cell = 0; cell < cells; cell++) {
      const from = Math.floor((cell * this.n) / cells);
      const to = Math.max(from + 1, Math.floor(((cell + 1) * this.n) / cells));
      for (let i = from; i < to; i++) {
        const place = i * 20 + this.columns[row];
        const value = this.arrays[which][place] - (change ? unsteered[place] : 0);
        if (Math.abs(value) > Math.abs(made[cell])) made[cell] = value;
      }
    }
    return made;
  }

  /**
   * A column of the logo: the most probable letter first, heights in bits.
   * Information is sum p log2(p / b), with b the frequencies of Swiss-Prot.
   * @param {number} position @param {Which} which
   * @returns {{ letter: string, bits: number }[]}
   */
  stack(position, which) {
    const start = (position - this.first) * 20;
    /** @type {number[]} */
    const p = [...this.arrays[which].subarray(start, start + 20)];
    const bits = p.reduce(
      (sum, value, i) => sum + (value > 0 ? value * Math.log2(value / this.background[i]) : 0),
      0,
    );
    return p
      .map((value, i) => ({ letter: this.record.letters[i], bits: value * Math.max(0, bits) }))
      .sort((a, b) => b.bits - a.bits);
  }

  /**
   * The most probable amino acids.
   * @param {number} position @param {Which} which @param {number} n
   */
  best(position, which, n) {
    return [...this.record.letters]
      .map((letter) => ({ letter, p: this.at(position, letter, which) }))
      .sort((a, b) => b.p - a.p)
      .slice(0, n);
  }

  /** The feature before, in shares of its maximum. @param {number} position */
  active(position) {
    return this.arrays.active[position - 1];
  }

  /** Is the residue one of those that are changed? @param {number} position */
  changed(position) {
    const { positions } = this.record;
    return positions.length === 0 || positions.includes(position);
  }
}

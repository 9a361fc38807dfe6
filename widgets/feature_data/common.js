// @ts-check
// The features that chosen proteins have in common. `interplm_nb/widgets/common_features.py` does
// the same, and says what the numbers are.

/** @import { Packed } from "../kit/types.js" */

/**
 * Columns by name, their values by place; `places` of features.
 * @typedef {object} Common
 * @property {Record<string, number[]>} columns
 * @property {Map<number, number>} places
 * @property {number} n chosen proteins
 * @property {number} others
 */

/** Which features fire in which protein, a bit for each. */
export class Firing {
  /** @param {Packed} packed */
  constructor({ record, arrays }) {
    this.nFeatures = record.n_features;
    this.above = record.above;
    this.leastShare = record.least_share;
    this.bits = arrays.bits;
    this.width = Math.ceil(this.nFeatures / 8); // bytes per protein
    this.nProteins = this.bits.length / Math.max(1, this.width);
    this.totals = this.counts(Array.from({ length: this.nProteins }, (_, i) => i));
  }

  /** In how many of these proteins each feature fires. @param {number[]} proteins numbers */
  counts(proteins) {
    const counts = new Uint32Array(8 * this.width);
    for (const protein of proteins)
      for (let byte = 0; byte < this.width; byte++) {
        const bits = this.bits[protein * this.width + byte];
        if (bits) for (let i = 0; i < 8; i++) counts[8 * byte + i] += (bits >> (7 - i)) & 1;
      }
    return counts;
  }

  /** In how many of n chosen proteins a common feature fires. @param {number} n */
  leastOf(n) {
    return Math.max(Math.ceil(this.leastShare * n), Math.min(2, n));
  }

  /**
   * As `in_common` in Python.
   * @param {number[]} chosen numbers of proteins
   * @returns {Common}
   */
  inCommon(chosen) {
    const [n, others] = [chosen.length, this.nProteins - chosen.length];
    const members = this.counts(chosen);
    const alive = Array.from(this.totals.keys()).filter((feature) => this.totals[feature] > 0);
    const tail = tails(this.nProteins, n);
    const p = alive.map((feature) => tail(members[feature], this.totals[feature]));
    const q = falseDiscovery(p);
    const kept = Array.from(alive.keys()).filter((i) => {
      const share = members[alive[i]] / n;
      const background = (this.totals[alive[i]] - members[alive[i]]) / Math.max(1, others);
      return members[alive[i]] >= this.leastOf(n) && share > background;
    });
    const column = (/** @type {(i: number) => number} */ of) => kept.map(of);
    const columns = {
      members: column((i) => members[alive[i]]),
      share: column((i) => members[alive[i]] / n),
      background: column((i) => this.totals[alive[i]] - members[alive[i]]),
      background_share: column(
        (i) => (this.totals[alive[i]] - members[alive[i]]) / Math.max(1, others),
      ),
      p_count: column((i) => p[i]),
      q_count: column((i) => q[i]),
    };
    return { columns, places: new Map(kept.map((i, place) => [alive[i], place])), n, others };
  }
}

/**
 * Fisher's exact test, one-sided: the chance that of `total` of N proteins that fire, `members` or
 * more are among the n chosen. Each result is kept: many features have the same counts.
 * @param {number} all N @param {number} n
 * @returns {(members: number, total: number) => number}
 */
function tails(all, n) {
  const logs = new Float64Array(all + 1); // of factorials
  for (let i = 2; i <= all; i++) logs[i] = logs[i - 1] + Math.log(i);
  const choose = (/** @type {number} */ a, /** @type {number} */ b) =>
    logs[a] - logs[b] - logs[a - b];
  /** @type {Map<number, number>} */
  const known = new Map();
  return (members, total) => {
    const key = members * (all + 1) + total;
    let sum = known.get(key);
    if (sum !== undefined) return sum;
    sum = 0;
    for (let k = Math.min(n, total); k >= Math.max(members, n + total - all); k--)
      sum += Math.exp(choose(total, k) + choose(all - total, n - k) - choose(all, n));
    known.set(key, Math.min(1, sum));
    return Math.min(1, sum);
  };
}

/** q-values after Benjamini and Hochberg. @param {number[]} p @returns {number[]} */
export function falseDiscovery(p) {
  const order = Array.from(p.keys()).sort((a, b) => p[b] - p[a]);
  const q = new Array(p.length);
  let least = 1;
  order.forEach((i, place) => {
    least = Math.min(least, (p[i] * p.length) / (p.length - place));
    q[i] = least;
  });
  return q;
}

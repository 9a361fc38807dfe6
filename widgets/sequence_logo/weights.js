// @ts-check
// The numbers of a logo; `interplm_nb/features/logos.py` has the same in Python, with the source of
// the equations.

/** @import { Bundle } from "../kit/types.js" */

const KINDS = 20;

/**
 * The residue in the middle of a window; position from 1.
 * @typedef {{ protein: number, accession: string, position: number, value: number }} Centre
 * @typedef {object} Weights
 * @property {number} columns
 * @property {Int32Array} n letters counted in each column; gaps and unknown residues are not
 * @property {Float64Array} frequencies [columns x 20]
 * @property {Float64Array} information [columns], bits
 */

/**
 * In each protein that has one, the residue inside the brush with the highest activation; the first
 * of equals.
 * @param {Bundle} bundle
 * @param {number[]} brush [lo, hi], both included, or [] for all
 * @param {string[]} accessions the proteins that count; [] for all
 * @returns {Centre[]}
 */
export function centresOf({ proteins, offsets, sparse }, brush, accessions) {
  const { index, value } = sparse[0];
  const [low, high] = brush.length ? brush : [0, Infinity];
  const allowed = new Set(accessions);
  /** @type {Centre[]} */
  const centres = [];
  let i = 0;
  for (let protein = 0; protein < proteins.length; protein++) {
    const { accession } = proteins[protein];
    let most = 0;
    let at = -1;
    for (; i < index.length && index[i] < offsets[protein + 1]; i++) {
      if (value[i] <= most || value[i] < low || value[i] > high) continue;
      most = value[i];
      at = index[i];
    }
    if (!most || (allowed.size && !allowed.has(accession))) continue;
    centres.push({ protein, accession, position: at - offsets[protein] + 1, value: most });
  }
  return centres;
}

/**
 * The letters around each centre, counted: [columns x 20]. A window counts no letter beyond the
 * ends of its protein.
 * @param {{ sequence: string }[]} proteins @param {Centre[]} centres @param {number} flank
 * @param {Int8Array} kinds place of a letter among the 20, by its code
 */
export function windowCounts(proteins, centres, flank, kinds) {
  const counts = new Int32Array((2 * flank + 1) * KINDS);
  for (const { protein, position } of centres) {
    const { sequence } = proteins[protein];
    const shift = flank - (position - 1);
    const end = Math.min(sequence.length, position + flank);
    for (let i = Math.max(0, position - 1 - flank); i < end; i++) {
      const kind = kinds[sequence.charCodeAt(i)];
      if (kind >= 0) counts[(i + shift) * KINDS + kind]++;
    }
  }
  return counts;
}

/** The same of aligned rows of equal length. @param {string[]} rows @param {Int8Array} kinds */
export function alignmentCounts(rows, kinds) {
  const counts = new Int32Array((rows[0]?.length ?? 0) * KINDS);
  for (const row of rows) {
    for (let i = 0; i < row.length; i++) {
      const kind = kinds[row.charCodeAt(i)];
      if (kind >= 0) counts[i * KINDS + kind]++;
    }
  }
  return counts;
}

/**
 * Codes 0 to 127 to the place of a letter, of either case; -1 for all else.
 * @param {string} letters
 */
export function kindsOf(letters) {
  const kinds = new Int8Array(128).fill(-1);
  [...letters].forEach(
    (letter, i) => (kinds[letter.charCodeAt(0)] = kinds[letter.toLowerCase().charCodeAt(0)] = i),
  );
  return kinds;
}

/**
 * Information of a column, R = max(0, sum f log2(f / b) - e(n)) with e(n) = 19 / (2 n ln 2); a
 * letter's height is f R.
 * @param {Int32Array} counts [columns x 20] @param {number[]} background
 * @returns {Weights}
 */
export function weightsOf(counts, background) {
  const columns = counts.length / KINDS;
  const n = new Int32Array(columns);
  const information = new Float64Array(columns);
  const frequencies = new Float64Array(counts.length);
  for (let column = 0; column < columns; column++) {
    const first = column * KINDS;
    for (let a = 0; a < KINDS; a++) n[column] += counts[first + a];
    if (!n[column]) continue;
    let bits = 0;
    for (let a = 0; a < KINDS; a++) {
      const f = counts[first + a] / n[column];
      frequencies[first + a] = f;
      if (f) bits += f * Math.log2(f / background[a]);
    }
    information[column] = Math.max(0, bits - (KINDS - 1) / (2 * Math.LN2 * n[column]));
  }
  return { columns, n, frequencies, information };
}

/**
 * The letters of one column, most frequent first; equals in the order of the alphabet.
 * @param {Weights} weights @param {number} column
 * @returns {number[]} places among the 20
 */
export function stackOf({ frequencies }, column) {
  const f = frequencies.subarray(column * KINDS, (column + 1) * KINDS);
  return Array.from(f.keys())
    .filter((a) => f[a] > 0)
    .sort((a, b) => f[b] - f[a] || a - b);
}

// @ts-check
// What a structure shows of a feature, without drawing: colours, strong residues, tables. Pure
// functions.

import { inBrush, stepOf } from "../kit/colours.js";
import { activationWords } from "../kit/words.js";

/**
 * @typedef {object} Residue an amino acid of the chain, as the structure's file has it
 * @property {number} position in UniProt, from 1; 0: it has none
 * @property {string} number as in the file, with insertion code: "52A"
 * @property {string} name three letters
 * @property {string} letter
 * @property {string} chain the entry's name
 * @property {number} first its first atom
 * @property {number} end the atom after its last
 * @property {number} carbon its alpha carbon, or its substitute
 */

/**
 * Colours as numbers 0xrrggbb, by UniProt position; at 0, and beyond the end, `unknown`.
 * @param {Float32Array | null} values activations in unit `max`; null: nothing is known
 * @param {number[]} brush
 * @param {{ rgb: Uint8Array, faded: number, unknown: number }} colours
 * @returns {Uint32Array}
 */
export function paintOf(values, brush, { rgb, faded, unknown }) {
  const paint = new Uint32Array((values?.length ?? 0) + 1).fill(unknown);
  values?.forEach((value, i) => {
    const at = 3 * stepOf(value);
    paint[i + 1] = inBrush(brush, value)
      ? (rgb[at] << 16) | (rgb[at + 1] << 8) | rgb[at + 2]
      : faded;
  });
  return paint;
}

/**
 * The activation of a residue; null where it is unknown.
 * @param {Float32Array | null} values
 * @param {number} position
 */
export function valueAt(values, position) {
  return values && position > 0 && position <= values.length ? values[position - 1] : null;
}

/**
 * Residues with side chains: their activation reaches the threshold.
 * @param {Residue[]} residues @param {Float32Array | null} values @param {number} threshold
 */
export function strongOf(residues, values, threshold) {
  return residues.filter(({ position }) => (valueAt(values, position) ?? -1) >= threshold);
}

/**
 * The next strong position after, or before, one; around the ends.
 * @param {Residue[]} strong @param {number | null} position @param {number} by 1 or -1
 * @returns {number | null}
 */
export function stepFrom(strong, position, by) {
  const places = [...new Set(strong.map((r) => r.position))].sort((a, b) => by * (a - b));
  return (
    places.find((place) => position === null || by * (place - position) > 0) ?? places[0] ?? null
  );
}

/**
 * NGL's selection of side chains: all atoms but the backbone's N, C and O; "none" for none.
 * @param {Residue[]} residues @param {(atom: number) => string} nameOfAtom
 */
export function sideChains(residues, nameOfAtom) {
  const atoms = residues.flatMap(({ first, end }) =>
    Array.from({ length: end - first }, (_, i) => first + i),
  );
  return atomsOf(atoms.filter((atom) => !["N", "C", "O", "OXT"].includes(nameOfAtom(atom))));
}

/** NGL's selection of atoms. @param {number[]} atoms */
export function atomsOf(atoms) {
  return atoms.length ? `@${atoms.join(",")}` : "none";
}

/**
 * "K48, activation 0.63", and what the file calls it where that differs.
 * @param {Residue} residue @param {number | null} value
 */
export function nameOf({ position, number, name, letter, chain }, value) {
  const inFile = `${name} ${number} of chain ${chain}`;
  if (!position) return `${inFile}: no UniProt position, activation unknown`;
  const said = `${letter}${position}, ${activationWords(value)}`;
  return number === String(position) ? said : `${said} (${inFile})`;
}

/** What is said of residues that fit at several places. @param {any} record of the payload */
export function ambiguityOf({ n_ambiguous: n }) {
  if (!n) return "";
  const [what, they] =
    n === 1 ? ["place of 1 residue is", "it fits"] : [`places of ${n} residues are`, "they fit"];
  return `The ${what} ambiguous: ${they} the sequence elsewhere as well.`;
}

/**
 * Rows for CSV: the chain's residues, as the file orders them.
 * @param {{ accession: string, residues: Residue[], values: Float32Array | null }[]} shown
 */
export function rowsOf(shown) {
  const rows = shown.flatMap(({ accession, residues, values }) =>
    residues.map((r) => [
      accession,
      r.position || null,
      r.letter,
      r.number,
      r.chain,
      valueAt(values, r.position),
    ]),
  );
  return [["accession", "position", "letter", "residue_number", "chain", "activation"], ...rows];
}

/**
 * The payload's PDB text with activations x 100 as B-factors, -1 where unknown, and serial
 * numbers.
 * @param {string} text B-factors are positions
 * @param {Float32Array | null} values
 * @param {string[]} remarks
 */
export function pdbOf(text, values, remarks) {
  let serial = 0;
  const lines = text.split("\n").map((line) => {
    if (!/^(ATOM|HETATM)/.test(line)) return line;
    const value = valueAt(values, Number(line.slice(60, 66)));
    const factor = value === null ? -1 : Math.min(100 * value, 999.99);
    const counted = String(++serial % 100000).padStart(5);
    const written = factor.toFixed(2).padStart(6);
    return `${line.slice(0, 6)}${counted}${line.slice(11, 60)}${written}${line.slice(66)}`;
  });
  const said = remarks.map((remark) => `REMARK   1 ${remark.replace(/[^ -~]/g, "?")}`.slice(0, 80));
  return [...said, ...lines].join("\n");
}

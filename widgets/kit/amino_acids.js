// @ts-check
// Amino acids by their letters.

/** @type {Record<string, string>} */
export const AMINO_ACID = {
  A: "alanine",
  C: "cysteine",
  D: "aspartate",
  E: "glutamate",
  F: "phenylalanine",
  G: "glycine",
  H: "histidine",
  I: "isoleucine",
  K: "lysine",
  L: "leucine",
  M: "methionine",
  N: "asparagine",
  P: "proline",
  Q: "glutamine",
  R: "arginine",
  S: "serine",
  T: "threonine",
  V: "valine",
  W: "tryptophan",
  Y: "tyrosine",
  B: "aspartate or asparagine",
  Z: "glutamate or glutamine",
  X: "unknown",
  U: "selenocysteine",
  O: "pyrrolysine",
};

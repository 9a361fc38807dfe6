// @ts-check
// Sentences of the panel.

import { AMINO_ACID } from "../kit/amino_acids.js";
import { fixed } from "../kit/scales.js";

/** @import { Prediction } from "./prediction.js" */

/** What each way of changing does, in its menu. @type {[string, string][]} */
export const HOW = [
  ["clamp", "Set to"],
  ["add", "Raise by"],
  ["scale", "Multiply by"],
  ["ablate", "Set to 0"],
];

/** The strength beside its slider. @param {string} how @param {number} strength */
export function strengthWords(how, strength) {
  const value = fixed(strength);
  if (how === "ablate") return "0";
  return how === "scale" ? `${value} × its value` : `${value} × maximum`;
}

/**
 * What each half of the picture is of.
 * @param {Prediction} prediction @returns {{ steered: string, control: string }}
 */
export function halves({ record }) {
  const { features, controls, control, names } = record;
  const named = (/** @type {number} */ feature) =>
    names[feature] ? `${feature}, ${names[feature]}` : String(feature);
  const what = (/** @type {number[]} */ list) => (list.length > 1 ? "features" : "feature");
  return {
    steered: `${what(features)} ${features.map(named).join("; ")}`,
    control:
      control === "direction"
        ? `control: random direction${features.length > 1 ? "s" : ""}`
        : `control: ${what(controls)} ${controls.map(named).join("; ")}`,
  };
}

/** Name and length. @param {Prediction} prediction */
export function proteinWords({ record, sequence }) {
  return `${record.name || "your sequence"}, ${sequence.length} residues`;
}

/**
 * A residue: its most probable amino acid, or the one that keys are on, under each.
 * @param {Prediction} prediction @param {number} position @param {string} letter empty: the best
 */
export function placeWords(prediction, position, letter) {
  const { record, sequence, first } = prediction;
  const there = `Residue ${position} (${sequence[position - 1]})`;
  if (position < first)
    return `${there}: a model that reads from left to right predicts no first residue`;
  const many = record.features.length > 1 ? `feature ${record.features[0]}` : "the feature";
  const before = `${many} is ${fixed(prediction.active(position))} × its maximum here unsteered`;
  if (letter) {
    const [p, steered, control] = /** @type {const} */ (["unsteered", "steered", "control"]).map(
      (which) => fixed(prediction.at(position, letter, which)),
    );
    const name = `${AMINO_ACID[letter]} (${letter})`;
    return `${there}: ${name} ${p} unsteered, ${steered} steered, ${control} control; ${before}`;
  }
  const best = (/** @type {"unsteered" | "steered" | "control"} */ which) =>
    prediction
      .best(position, which, 2)
      .map(({ letter: most, p }) => `${most} ${fixed(p)}`)
      .join(", ");
  return (
    `${there}: ${best("unsteered")} unsteered; ${best("steered")} steered; ` +
    `${best("control")} control; ${before}`
  );
}

/** Seconds that a person has waited. @param {number} ms */
export function waitedWords(ms) {
  return `${fixed(ms / 1000, 1)} s`;
}

// @ts-check
// Sentences of the playground.

import { conceptName } from "../kit/concept_names.js";
import { fixed } from "../kit/scales.js";
import { rangeWords } from "../kit/words.js";
import { AMINO_ACID } from "../kit/amino_acids.js";
import { written } from "./substitutions.js";

/** @import { Playground } from "../sequence_playground.js" */

/** @typedef {import("./reading.js").Reading} Reading */

/** "feature 761 (Domain, any kind)". @param {import("./reading.js").FeatureRow} row */
export function featureWords(row) {
  return `feature ${row.feature}${row.best ? ` (${named(row.best)})` : ""}`;
}

/** @param {{ concept: string, category: string }} pair */
export function named(pair) {
  return conceptName(pair.concept, pair.category);
}

/** What is on the screen. @param {Reading} reading */
export function nameWords(reading) {
  const { name, mutations } = reading.record;
  const changes = mutations.map(written);
  const shown =
    changes.length > 6 ? [...changes.slice(0, 6), `${changes.length - 6} more`] : changes;
  return [
    name || "sequence",
    `${reading.length} residue${reading.length === 1 ? "" : "s"}`,
    ...shown,
  ].join(", ");
}

/** The reference as FASTA; without a name as letters. @param {Reading} reading */
export function fastaOf({ reference, record }) {
  return record.name ? `>${record.name}\n${reference}` : reference;
}

/**
 * What the mutations do.
 * @param {Reading} reading
 * @param {number} threshold share of the maximum
 */
export function effectWords(reading, threshold) {
  if (!reading.mutated) return "";
  const { mutations, n_changed: n } = reading.record;
  const what = mutations.length === 1 ? written(mutations[0]) : `${mutations.length} mutations`;
  const [change, whose] = n === 1 ? ["feature changes", "its"] : ["features change", "their"];
  const changes = `${n} ${change} by more than ${threshold} of ${whose} maximum`;
  const row = reading.rows[0];
  if (!row?.change) return `${what}: no feature changes.`;
  const { reference, mutant, position } = row.change;
  const values = `${fixed(reference)} → ${fixed(mutant)}`;
  const largest = `${featureWords(row)} ${values} at residue ${position}`;
  return `${what}: ${changes}; largest: ${largest}.`;
}

/**
 * A residue and the selected feature on it.
 * @param {Reading} reading @param {number} position @param {number} row its row, or -1
 */
export function residueWords(reading, position, row) {
  const letter = reading.letters[position - 1];
  const before = reading.reference[position - 1];
  const was = before === letter ? "" : `, ${before} in the reference`;
  const where = `Residue ${position}: ${AMINO_ACID[letter]} (${letter}${was})`;
  if (row < 0) return where;
  const now = reading.shown(row)[position - 1];
  const then = reading.values(row, "reference")[position - 1];
  const value = reading.mutated && now !== then ? `${fixed(then)} → ${fixed(now)}` : fixed(now);
  return `${where}; feature ${reading.rows[row].feature}: ${value}`;
}

/** A row of the picture. @param {Reading} reading @param {import("./strips.js").Item} item */
export function itemWords(reading, item) {
  if (item.lane) {
    const confidence = confidenceWords(reading, item.lane);
    return `${named(item.lane)}, named by feature ${item.lane.feature}: confidence ${confidence}`;
  }
  const row = reading.rows[item.row];
  const f1 = row.best ? `, F1 on test ${fixed(row.best.f1_per_domain)}` : "";
  return `${featureWords(row)}${f1}: ${valueWords(reading, row)}`.replace(/^f/, "F");
}

/**
 * The highest confidence, before and after.
 * @param {Reading} reading
 * @param {import("./reading.js").Lane} lane
 */
export function confidenceWords(reading, lane) {
  /** @param {any[]} stretches */
  const top = (stretches) =>
    stretches.length ? fixed(Math.max(...stretches.map((s) => s.confidence))) : "none";
  return reading.mutated ? `${top(lane.reference)} → ${top(lane.mutant)}` : top(lane.reference);
}

/**
 * The maximum, or where a feature changes most.
 * @param {Reading} reading
 * @param {import("./reading.js").FeatureRow} row
 */
export function valueWords(reading, row) {
  const { maximum, position } = row.reference;
  if (!row.change && !position) return "silent";
  if (!reading.mutated) return `${fixed(maximum)} at ${position}`;
  if (!row.change) return "unchanged";
  return `${fixed(row.change.reference)} → ${fixed(row.change.mutant)} at ${row.change.position}`;
}

/**
 * The line below the view: what keys or pointer are on, else what the letters show.
 * @param {Playground} playground
 */
export function saidWords({
  reading,
  kernel,
  cursor,
  tried,
  scan,
  pointed,
  row,
  about,
  view,
  kit,
  strips,
  stripLayout,
}) {
  if (!reading) return kernel.none ? "" : "No sequence has been read yet";
  if (tried && scan) return scan.words(tried, about.changed);
  const item = cursor >= 0 ? stripLayout(strips.width).items[cursor] : null;
  if (item) return itemWords(reading, item);
  if (pointed) return residueWords(reading, pointed, row);
  const feature = view.link.get("feature");
  if (row < 0)
    return `Feature ${feature} was not read on this sequence, so the letters show no activation`;
  const active = reading.shown(row).filter((/** @type {number} */ value) => value > 0);
  const brush = view.link.get("brush");
  const n = active.length;
  if (!brush.length)
    return `Letters show feature ${feature}: active on ${n} of ${reading.length} residues`;
  const inside = active.filter((/** @type {number} */ value) => kit.inBrush(brush, value)).length;
  const showing = `showing ${inside} of ${n} residues on which feature ${feature} is active`;
  return `Brushed ${rangeWords(brush)}: ${showing}`;
}

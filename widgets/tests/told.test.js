import assert from "node:assert/strict";
import { test } from "node:test";
import {
  describedBy,
  inShort,
  judgedWords,
  matchLines,
  motifLines,
  recognisedWords,
  statisticsLines,
} from "../concept_panel/told.js";

const kit = {
  fixed: (/** @type {number | null} */ v, n = 2) => (v === null ? "–" : v.toFixed(n)),
  count: (/** @type {number} */ n) => Math.round(n).toLocaleString("en-US"),
  percent: (/** @type {number} */ v) => `${Number((100 * v).toPrecision(2))} %`,
};

const score = (/** @type {number | null} */ pearson, changes = {}) => ({
  ...{ judge: "ridge", sees: "names", n: 41, failed: null, pearson },
  ...{ pearson_low: pearson && pearson - 0.1, pearson_high: pearson && pearson + 0.1 },
  ...changes,
});

const said = (changes = {}) => ({
  ...{ describer: "statistical", sees: "annotations", summary: "Fires.", description: "Why." },
  ...{ n_examples: 1042, failed: null, score: score(0.5), nulls: {}, told: [] },
  ...changes,
});

test("a description says who made it, and from how much", () => {
  assert.equal(
    describedBy(kit, said()),
    "Described by statistical, without a language model, from 1,042 proteins.",
  );
  assert.equal(
    describedBy(kit, said({ describer: "openai:tiny", sees: "sequence" })),
    "Described by openai:tiny from 1,042 proteins, from sequences alone.",
  );
});

test("its score comes with the nulls, with intervals", () => {
  const nulls = {
    "another description": { ...score(0.3), of: 1 },
    "no description": { ...score(null), of: 1 },
  };
  assert.equal(
    judgedWords(kit, said({ nulls })),
    "Judged by a ridge regression on 41 proteins that it was not made from: r 0.50 " +
      "(95\u00a0% 0.40 to 0.60) of predicted and measured maxima; with another feature's " +
      "description 0.30 (95\u00a0% 0.20 to 0.40), without a description none.",
  );
  assert.equal(
    inShort(kit, said({ nulls })),
    "By statistical, r 0.50 (95\u00a0% 0.40 to 0.60); another feature's description 0.30",
  );
  const five = { pearson: 0.3, pearson_low: 0, pearson_high: 0.5, of: 5 };
  const many = said({ nulls: { "another description": five, "no description": null } });
  assert.match(judgedWords(kit, many), /other features' descriptions \(5\) 0\.30 \(median; 0\.00/);
  assert.match(inShort(kit, many), /; other features' descriptions \(5\) 0\.30$/);
  assert.equal(inShort(kit, said({ score: null })), "By statistical, not judged");
  assert.match(judgedWords(kit, said({ score: score(null) })), /the same for all, so it has no r/);
  assert.equal(
    judgedWords(kit, said({ score: score(null, { failed: "refused" }) })),
    "Not judged: refused.",
  );
  assert.equal(judgedWords(kit, said({ score: null })), "");
});

test("recognition comes with chance, and the intruder is an accuracy", () => {
  const told = [
    { score: "detection", n: 40, accuracy: 0.7, balanced_accuracy: 0.75, chance: 0.5 },
    { score: "intruder", n: 10, accuracy: 0.6, balanced_accuracy: 0.1, chance: 0.2 },
  ];
  assert.equal(
    recognisedWords(kit, said({ told })),
    "Excerpts recognised: detection 0.75 (chance 0.50), intruder 0.60 (chance 0.20).",
  );
  assert.equal(recognisedWords(kit, said()), "");
});

const statistics = {
  ...{ density: 0.0312, density_class: "frequent", protein_frequency: 0.41 },
  ...{ share_when_present: 0.083, protein_entropy: 7, quantile_50: 0.2, quantile_95: 0.71 },
  ...{ amino_acid_information: 0.125, top_amino_acid: "L", top_amino_acid_share: 0.18 },
  ...{ shape: "periodic", mean_run: 5.25, longest_run: 1066, period: 7, period_strength: 0.8 },
};

test("statistics are lines with units", () => {
  assert.deepEqual(statisticsLines(kit, { statistics }, 0.05), [
    "Frequent: above 0.05 of its maximum on 3.1 % of residues, in 41 % of proteins; there on " +
      "8.3 % of the protein. Median 0.20 of the maximum, 95th percentile 0.71.",
    "Over proteins: 7.0 bits, as if spread evenly over 128 of them.",
    "Amino acids: 0.13 bits beyond the composition; 18 % of the activation falls on L.",
    "Along the chain: periodic; stretches of 5.3 residues on average, at most 1,066; " +
      "period 7 residues (strength 0.80).",
  ]);
  assert.match(statisticsLines(kit, { statistics }, null)[0], /above the threshold of the stage/);
  const none = { statistics: { ...statistics, shape: "motif" } };
  assert.doesNotMatch(statisticsLines(kit, none, 0.05)[3], /period \d/);
  const silent = { statistics: { ...statistics, density_class: "silent" } };
  assert.equal(statisticsLines(kit, silent, 0.05).length, 1);
  assert.deepEqual(statisticsLines(kit, { statistics: null }, null), []);
});

const motif = {
  ...{ n_sites: 100, information: 8.94, information_by_chance: 1.4, q_motif: 0.0004 },
  ...{ consensus: "xxCxx", pattern: "C-x(2)-C", pattern_offset: -3, held_out_sites: 50 },
  ...{ pattern_recall: 0.64, held_out_matches: 120, pattern_precision: 0.06 },
  ...{ precision_by_chance: 0.02 },
};

test("a motif comes with chance and test", () => {
  const known = [{ known: "PS00001", kind: "pattern", similarity: 0.9, e_value: 0.0123 }];
  assert.deepEqual(motifLines(kit, { motif, tested: true, known }), [
    "C-x(2)-C, from 3 before the maximum: 8.9 bits over 100 maxima on train (by chance 1.4; " +
      "q < 0.001).",
    "On test it holds at 64 % of 50 maxima; of 120 matches 6 % are active (by chance 2 %).",
    "Known motifs alike: PS00001 (E 0.012).",
  ]);
  const nowhere = { ...motif, pattern_offset: 0, held_out_sites: 0, held_out_matches: 0 };
  assert.deepEqual(motifLines(kit, { motif: nowhere, tested: true, known: [] }).slice(1), [
    "On test there is no strong maximum; it matches nowhere.",
  ]);
  const none = { ...motif, pattern: "", q_motif: 0.25 };
  assert.deepEqual(motifLines(kit, { motif: none, tested: true, known: [] }), [
    "No pattern: 8.9 bits over 100 maxima on train (by chance 1.4; q 0.25); consensus xxCxx.",
  ]);
  assert.match(motifLines(kit, { motif: null, tested: true, known: [] })[0], /fewer than 10/);
  assert.deepEqual(motifLines(kit, { motif: null, tested: false, known: [] }), []);
});

test("the same feature of another SAE comes with chance", () => {
  const one = { other: "sae/2", kind: "decoder", match: 12, similarity: 0.9, ambiguity: 0.5 };
  const matches = [one, { ...one, other: "random_sae" }].map((m) => ({ ...m, by_chance: 0.001 }));
  assert.deepEqual(matchLines(kit, { matches }, { random_sae: { name: "random SAE" } }), [
    "In sae/2, by decoder: feature 12, 0.90 (ambiguity 0.50, by chance 0.1 %).",
    "In random SAE, by decoder: feature 12, 0.90 (ambiguity 0.50, by chance 0.1 %).",
  ]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { linksOf } from "../concept_panel/links.js";
import { above, bestOf, endsOf, factsOf, honestly, qOf } from "../concept_panel/words.js";

const kit = {
  fixed: (/** @type {number | null} */ v, n = 2) => (v === null ? "–" : v.toFixed(n)),
};
const sources = {
  neurons: { name: "neurons", colour: "#000000", marker: "s", kind: "dense" },
  linear_probe: { name: "linear probe", colour: "#000000", marker: "|", kind: "probe" },
};

/** @param {Record<string, any>} [changes] */
function row(changes = {}) {
  const numbers = {
    threshold: 0.5,
    validation_f1_per_domain: 0.5,
    f1_per_domain: 0.4,
    n_instances: 20,
    low: null,
    high: null,
    q_value: null,
  };
  return {
    concept: "Helix",
    category: "fold",
    ...numbers,
    controls: { neurons: 0.3, linear_probe: 0.2 },
    ...changes,
  };
}

test("only accessions of UniProt's shape make links", () => {
  for (const good of ["P12345", "Q9H0H5", "A2BC19", "A0A023GPI8"]) {
    assert.deepEqual(
      linksOf(good).map(({ href }) => href),
      [
        `https://www.uniprot.org/uniprotkb/${good}/entry`,
        `https://alphafold.ebi.ac.uk/entry/${good}`,
        `https://www.ebi.ac.uk/interpro/protein/UniProt/${good}/`,
      ],
    );
  }
  const no = [
    "",
    "p12345",
    "P1234",
    "P12345-2",
    "P12345\n",
    " P12345",
    "javascript:alert(1)",
    "P12345/../x",
    "A0A023GPI8A",
  ];
  for (const bad of no) {
    assert.deepEqual(linksOf(bad), [], bad);
  }
});

test("what reaches more than the feature is named, the highest first", () => {
  const beaten = row({ controls: { neurons: 0.45, linear_probe: 0.6, pca: 0.4 } });
  assert.deepEqual(above(beaten), ["linear_probe", "neurons"]);
  assert.equal(
    honestly(kit, [beaten], sources),
    "On Helix these reach more than this feature: " +
      "linear probe (trained on the labels) 0.60 and neurons 0.45.",
  );
  assert.equal(
    honestly(kit, [row(), beaten, row()], sources),
    "On Helix no control reaches more than this feature. " +
      "A control reaches more on 1 of 2 other concepts shown.",
  );
});

test("compared with a control the trained SAE is called no control", () => {
  const others = { sae: 0.3, neurons: 0.2 };
  assert.equal(
    honestly(kit, [row({ controls: others }), row({ controls: { ...others, sae: 0.9 } })], sources),
    "On Helix no other source reaches more than this feature. " +
      "Another source reaches more on 1 of 1 other concept shown.",
  );
});

test("without controls, or without concepts, nothing is claimed", () => {
  assert.equal(
    honestly(kit, [row({ controls: {} })], sources),
    "This run has no controls to compare with.",
  );
  assert.equal(honestly(kit, [], sources), "");
});

test("an interval is said where there is one", () => {
  const said = bestOf(kit, row({ low: 0.3, high: 0.45 }));
  assert.match(said, /0\.40 on test \(95\u00a0% interval 0\.30 to 0\.45\), 0\.50 on validation/);
  assert.doesNotMatch(bestOf(kit, row()), /interval/);
  assert.equal(qOf(kit, null), "–");
  assert.deepEqual([qOf(kit, 0.0004), qOf(kit, 0.0266)], ["< 0.001", "0.027"]);
});

test("of a silent feature no counts are claimed", () => {
  const counting = {
    ...kit,
    count: String,
    percent: (/** @type {number} */ share) => `${100 * share} %`,
  };
  const record = { silent: false, n_active: 0, n_residues: 100, n_firing: 0, n_proteins: 2 };
  assert.match(
    factsOf(counting, record, 2.5),
    /^Active on 0 of 100 residues .* highest activation on training proteins 2\.5\.$/,
  );
  assert.equal(
    factsOf(counting, { ...record, silent: true }, 0),
    "Silent: it fires on no training protein, so its activations on others count as 0.",
  );
});

test("a feature with most of its maxima near the ends is said to be so, with chance", () => {
  const table = {
    record: {},
    arrays: {
      share_near_ends: Float32Array.of(0.62, 0.5, NaN),
      near_ends_by_chance: Float32Array.of(0.04, 0.04, NaN),
    },
  };
  const about = { near_end: 5, marked_near_ends: 0.5, recurrent: false };
  const said =
    "Near the ends: 62 % of its maxima lie within 5 residues of an end of the protein " +
    "(by chance 4 %). It may mark the end of a chain, not a motif.";
  assert.equal(endsOf(table, about, 0), said);
  assert.equal(
    endsOf(table, { ...about, recurrent: true }, 0),
    `${said} This model is recurrent: to it the first residues of all proteins look alike.`,
  );
  for (const row of [1, 2, undefined]) assert.equal(endsOf(table, about, row), "");
  assert.equal(endsOf({ record: {}, arrays: {} }, about, 0), ""); // a control has no such column
});

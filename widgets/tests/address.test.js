import assert from "node:assert/strict";
import { test } from "node:test";
import { fieldsOf, fragmentOf, viewsOf } from "../host/address.js";

const NOTHING = {
  ...{ accession: "", position: null, brush: [], accessions: [], pinned: [], listed: {} },
};

const ABOUT = { n_features: 20, categories: { "Zinc finger": "#123456" } };

test("a link restores what was written", () => {
  const fields = {
    source: "sae",
    feature: 12,
    accession: "sp|P1 &=#é",
    position: 3,
    brush: [0.5, 1.25],
    accessions: ["P1", "Q2 x"],
    pinned: [0, 7],
    listed: {
      ...{ search: "zinc C2H2", category: "Zinc finger", least_f1: 0.5, silent: true },
      ...{ among: [3, 0], why: "lasso & more" },
    },
  };
  const { source, ...rest } = fields;
  assert.deepEqual(fieldsOf(`#${fragmentOf(fields)}`, source, ABOUT), rest);
  assert.deepEqual(
    // as Python writes it
    fieldsOf("source=sae&feature=12&accession=a+b&brush=0.5,1&accessions=P1,Q9", "sae", ABOUT),
    { ...NOTHING, feature: 12, accession: "a b", brush: [0.5, 1], accessions: ["P1", "Q9"] },
  );
});

test("what a link leaves out is empty, so that a brush that was cleared stays so", () => {
  assert.deepEqual(fieldsOf(fragmentOf({ source: "sae", feature: 3, ...NOTHING }), "sae", ABOUT), {
    feature: 3,
    ...NOTHING,
  });
  assert.deepEqual(fieldsOf("", "sae", ABOUT), {});
});

test("what cannot be is left out", () => {
  const bad = [
    "feature=abc",
    "feature=-3",
    "feature=1.5",
    "feature=",
    "feature=1e3",
    "position=0",
    "position=-5",
    "position=x",
    "brush=NaN",
    "brush=0.5",
    "brush=",
    "brush=,",
    "brush=1,0",
    "brush=-1,1",
    "brush=0,Infinity",
    "brush=0.2,0.9,3",
    "pinned=x,y",
    "pinned=",
    "pinned=1,-2",
    "least_f1=2",
    "least_f1=0",
    "least_f1=x",
    "among=1,x",
    "silent=1",
    "search=",
    "listed=3",
    "feature=20",
    "pinned=3,20",
    "among=20",
    "category=Zinc",
    "category=toString",
    "__proto__=3",
    "constructor=1",
    "kit=3",
    "table=4",
    "%E0%A4%A",
  ];
  for (const hash of bad) assert.deepEqual(fieldsOf(`#${hash}`, "sae", ABOUT), {}, hash);
  assert.deepEqual(fieldsOf("#brush=NaN&feature=4", "sae", ABOUT), { ...NOTHING, feature: 4 });
});

test("nothing of a link to another source is followed", () => {
  assert.deepEqual(fieldsOf("#source=random_sae&feature=4", "sae", ABOUT), {});
});

test("a link says which view is in front and from where side chains are drawn", () => {
  const linked = {
    threshold: { saved: 0.5, values: null },
    list_tab: { saved: "table", values: ["table", "atlas"] },
  };
  const of = (/** @type {string} */ hash) => viewsOf(hash, linked);
  assert.deepEqual(of("#feature=3&threshold=0.25&list_tab=atlas"), {
    threshold: 0.25,
    list_tab: "atlas",
  });
  const saved = { threshold: 0.5, list_tab: "table" };
  for (const hash of [
    "",
    "#threshold=&list_tab=",
    "#threshold=-1",
    "#threshold=Infinity",
    "#threshold=x",
    "#list_tab=__proto__",
    "#%E0%A4%A",
  ])
    assert.deepEqual(of(hash), saved, hash);
});

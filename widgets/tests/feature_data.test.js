import assert from "node:assert/strict";
import { test } from "node:test";
import feature_data from "../feature_data.js";
import { orderOf } from "../feature_data/order.js";

/**
 * As `pack` in Python, of a record alone.
 * @param {any} record
 * @param {boolean} [compress]
 * @returns {Promise<DataView>}
 */
async function packed(record, compress = false) {
  const arrays = {
    edges: { dtype: "f4", length: 0, offset: 0 },
    residues_total: { dtype: "u4", length: 0, offset: 0 },
    proteins_total: { dtype: "u4", length: 0, offset: 0 },
    index: { dtype: "u4", length: 0, offset: 0 },
    value: { dtype: "f4", length: 0, offset: 0 },
  };
  const text = JSON.stringify({ record, arrays });
  const header = new TextEncoder().encode(text + " ".repeat((8 - ((text.length + 4) % 8)) % 8));
  const bytes = new Uint8Array(4 + header.length);
  new DataView(bytes.buffer).setUint32(0, header.length, true);
  bytes.set(header, 4);
  if (!compress) return new DataView(bytes.buffer);
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new DataView(await new Response(stream).arrayBuffer());
}

/** @param {number} feature @param {string} accession */
const bundle = (feature, accession) => ({
  feature,
  pinned: [],
  zero: { residues: {}, proteins: {} },
  asked: { accession: "", accessions: [] },
  proteins: [{ accession, sequence: "MK" }],
});

/** A model, or a selection. @param {Record<string, any>} state */
function stateful(state) {
  /** @type {Map<string, (() => void)[]>} */
  const listeners = new Map();
  const add = (/** @type {string} */ name, /** @type {() => void} */ act) =>
    listeners.set(name, [...(listeners.get(name) ?? []), act]);
  return {
    static: true,
    get: (/** @type {string} */ name) => state[name],
    set(/** @type {Record<string, any>} */ fields) {
      Object.assign(state, fields);
      const acts = new Set(Object.keys(fields).flatMap((name) => listeners.get(name) ?? []));
      for (const act of acts) act();
    },
    on(/** @type {string | string[]} */ names, /** @type {() => void} */ act) {
      for (const name of [names].flat()) add(name.replace("change:", ""), act);
    },
  };
}

/** @param {Record<string, any>} state @param {Record<string, any>} [chosen] */
async function storeOf(state, chosen = {}) {
  const store = feature_data.initialize({
    model: stateful({ about: {}, problem: "", ...state }),
  });
  const link = stateful({ feature: 1, accession: "", accessions: [], pinned: [], ...chosen });
  store.attach(link, /** @type {any} */ (null)); // no view here asks for a list
  await settled();
  return { store, link };
}

const settled = () => new Promise((done) => setTimeout(done, 60));

test("fast changes end with what was selected last, its feature and its structure", async () => {
  const structure = (/** @type {string} */ accession) => ({
    accession,
    chain: "A",
    filler: accession.repeat(40_000),
  });
  const kept = { 1: await packed(bundle(1, "P1"), true), 2: await packed(bundle(2, "P2"), true) };
  const kept_structures = { P1: await packed(structure("P1"), true) };
  const { store, link } = await storeOf({ kept, kept_structures });
  link.set({ feature: 2 });
  await settled();
  // both are here, so that only the structure is waited for
  link.set({ feature: 1, accession: "P1" });
  await Promise.resolve();
  await Promise.resolve();
  link.set({ feature: 2, accession: "P2" }); // which has no structure: found at once
  await settled();
  assert.equal(store.bundle.feature, 2);
  assert.equal(store.state, "ready");
  assert.equal(store.structure, null);
  link.set({ accession: "P1" });
  await settled();
  assert.equal(store.structure.record.accession, "P1");
});

test("a problem is not overwritten by what was looked for before it", async () => {
  const { store } = await storeOf({ kept: { 1: await packed(bundle(1, "P1"), true) } });
  store.follow();
  store.model.set({ problem: "Feature 1 could not be read" });
  await settled();
  assert.deepEqual([store.state, store.message], ["missing", "Feature 1 could not be read"]);
  store.model.set({ problem: "" });
  await settled();
  assert.equal(store.state, "ready");
});

test("a listener of a view that is closed already is not kept", async () => {
  const { store } = await storeOf({});
  store.on(() => assert.fail("told"), AbortSignal.abort());
  store.tell();
});

test("features of looked-at proteins come by enrichment, where nothing is searched", () => {
  const columns = ["feature", "share_here", "enrichment"];
  assert.deepEqual(orderOf({}, null, columns), ["enrichment", false]);
  assert.deepEqual(orderOf({}, null, ["feature", "share_here"]), ["share_here", true]);
  assert.deepEqual(orderOf({}, null, ["feature"]), ["rank", false]);
  const searched = orderOf({ search: "zinc" }, null, columns);
  assert.deepEqual(searched, ["validation_f1_per_domain", true]);
});

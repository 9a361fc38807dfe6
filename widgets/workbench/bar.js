// @ts-check
// The bar above the views: what the run is, which feature is looked at, full screen, keys.

/** @import { Kit, Link, Store } from "../kit/types.js" */

const KEYS = [
  ["[ and ]", "anywhere: the previous and the next feature, in the table's order"],
  ["/", "anywhere: search concepts, words and proteins; Enter selects the best match"],
  ["Esc", "anywhere: clear brush and residue"],
  ["F", "anywhere (Shift and f): the workbench fills the screen, and back"],
  ["← → Home End", "tabs: another view"],
  ["↑ ↓ Page Home End", "table: another feature; P pins it"],
  ["arrows + − 0", "map: the nearest feature that way; zoom; all of it"],
  ["← →", "histogram: move the brush; with Shift, its upper end"],
  ["← → Enter", "logo: along the columns; select the residue of one"],
  ["arrows Enter", "steering: along residues and amino acids; where predictions move most"],
  ["arrows Enter", "tracks: another protein or residue; its maximum"],
  ["+ − 0 L", "tracks: zoom; whole sequences; letters. Shift and ← → pan"],
  ["arrows + − R", "structure: turn, zoom, reset; Shift and arrows move it"],
  ["N P f", "structure: next and previous strong residue; fill the screen"],
];

/**
 * @typedef {object} Acts
 * @property {() => void} reset
 * @property {() => void} fill the screen
 */

/**
 * @param {Kit} kit
 * @param {Link} link
 * @param {Store} store
 * @param {AbortSignal} signal
 * @param {Acts} acts
 */
export function barOf(kit, link, store, signal, acts) {
  const { about } = store;
  const said =
    `${about.source} on ${about.plm}, layer ${about.layer}: ` +
    `${kit.count(about.n_features)} features, ` +
    `${kit.count(about.n_proteins)} proteins, ${kit.count(about.n_residues)} residues`;
  const tools = kit.element("div", { class: "iplm-tools", role: "group", "aria-label": "Feature" });
  const button = (/** @type {string} */ text, /** @type {() => void} */ act, hint = text) => {
    const made = kit.element("button", { type: "button", text, title: hint, "aria-label": hint });
    made.addEventListener("click", act, { signal });
    tools.append(made);
  };
  button("‹", () => store.step(-1), "Previous feature");
  tools.append(numberField(kit, link, store, signal));
  button("›", () => store.step(1), "Next feature");
  const hint = "Reset: clear brush, residue, proteins, pins and what is listed";
  button("Reset", acts.reset, hint);
  if (document.fullscreenEnabled)
    button("Full screen", acts.fill, "Full screen: the workbench fills the screen (F)");
  tools.append(keysHelp(kit));
  return kit.element(
    "div",
    { class: "iplm-view iplm-top", "data-lm-suppress-shortcuts": "true" },
    [
      kit.element("strong", { text: about.run }),
      kit.element("span", { class: "iplm-sub", text: said }),
      tools,
      ...(about.note ? [noteOf(kit, about.note)] : []),
    ],
  );
}

/**
 * What must be known of the model: as much as fits, and all of it on demand.
 * @param {Kit} kit @param {string} note
 */
function noteOf(kit, note) {
  return kit.element("details", { class: "iplm-limits" }, [
    kit.element("summary", { text: note }),
    kit.element("p", { text: note }),
  ]);
}

/** @param {Kit} kit @param {Link} link @param {Store} store @param {AbortSignal} signal */
function numberField(kit, link, store, signal) {
  const last = store.about.n_features - 1;
  const input = kit.element("input", {
    type: "number",
    min: 0,
    max: last,
    step: 1,
    "aria-label": `Feature, 0 to ${last}`,
  });
  const show = () => (input.value = String(link.get("feature")));
  const choose = () => {
    const feature = Number(input.value);
    if (Number.isInteger(feature) && feature >= 0 && feature <= last)
      link.set({ feature, brush: [] });
    else show();
  };
  input.addEventListener("change", choose, { signal });
  // A notebook captures Enter, and then the input fires no change event.
  input.addEventListener(
    "keydown",
    (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && choose(),
    { signal },
  );
  link.on(["feature"], show, signal);
  show();
  return kit.element("label", {}, [kit.element("span", { text: "Feature" }), input]);
}

/** @param {Kit} kit */
function keysHelp(kit) {
  const rows = KEYS.flatMap(([key, does]) => [
    kit.element("dt", { text: key }),
    kit.element("dd", { text: does }),
  ]);
  return kit.element("details", { class: "iplm-keys" }, [
    kit.element("summary", { text: "Keys" }),
    kit.element("dl", { tabindex: 0, "aria-label": "Keys" }, rows),
  ]);
}

/**
 * Buttons that are seen once they have the focus: to each place, and past all of them.
 * @param {Kit} kit @param {[string, () => HTMLElement][]} places @param {AbortSignal} signal
 */
export function skipsOf(kit, places, signal) {
  const buttons = places.map(([name, place]) => {
    const made = kit.element("button", { type: "button", text: `Skip to ${name}` });
    made.addEventListener("click", () => place().focus(), { signal });
    return made;
  });
  return kit.element("nav", { class: "iplm-skips", "aria-label": "Skip links" }, buttons);
}

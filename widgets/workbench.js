// @ts-check
// The JavaScript half of `Workbench`: the views in a grid, under a bar that says and sets which
// feature is looked at.

/** @import { Context, Kit, Link, Store } from "./kit/types.js" */

const MAIN = ["table", "atlas", "histogram", "logo", "tracks"];
const ASIDE = ["concepts", "structure"]; // beside the others where there is room
const CLEAR = { brush: [], position: null, accession: "", accessions: [], pinned: [], listed: {} };
const KEYS = [
  ["[ and ]", "previous and next feature, in the table's order"],
  ["/", "search concepts and proteins; Enter selects the best match"],
  ["arrows", "move within a view: rows, points, the brush, residues"],
  ["Esc", "clear brush and residue"],
];

/** @param {Context} context */
async function render(context) {
  const { model, el, host, signal } = context;
  /** @type {Kit} */
  const kit = (await host.getWidget(model.get("kit"))).exports;
  const link = (await host.getWidget(model.get("selection"))).exports;
  const store = (await host.getWidget(model.get("data"))).exports;
  store.attach(link);
  kit.dress(el);
  const place = (/** @type {string} */ name) => {
    const element = kit.element("div", { class: "iplm-place", "data-view": name });
    element.style.gridArea = name; // style.css lays the areas out
    return element;
  };
  const main = kit.element("div", { class: "iplm-main" }, MAIN.map(place));
  const grid = kit.element("div", { class: "iplm-grid" }, [
    main,
    kit.element("div", { class: "iplm-aside" }, ASIDE.map(place)),
  ]);
  const bench = kit.element(
    "div",
    { class: "iplm-bench", role: "group", "aria-label": "Workbench" },
    [grid],
  );
  el.append(bench);
  bench.addEventListener(
    "keydown",
    (/** @type {KeyboardEvent} */ event) => kit.stepsByKeyboard(event, store),
    { signal },
  );
  grid.before(bar(kit, link, store, signal));
  const places = [...grid.querySelectorAll(".iplm-place")];
  await Promise.all(
    places.map(async (at) =>
      (await host.getWidget(model.get(at.dataset.view))).render({ el: at, signal }),
    ),
  );
}

/** @param {Kit} kit @param {Link} link @param {Store} store @param {AbortSignal} signal */
function bar(kit, link, store, signal) {
  const { about } = store;
  const said =
    `${about.source} on ${about.plm}, layer ${about.layer}: ` +
    `${kit.count(about.n_features)} features, ` +
    `${kit.count(about.n_proteins)} proteins, ${kit.count(about.n_residues)} residues`;
  const made = kit.element(
    "div",
    { class: "iplm-view iplm-top", "data-lm-suppress-shortcuts": "true" },
    [
      kit.element("strong", { text: about.run }),
      kit.element("span", { class: "iplm-sub", text: said }),
    ],
  );
  const tools = kit.element("div", { class: "iplm-tools", role: "group", "aria-label": "Feature" });
  made.append(tools);
  numberField(kit, link, store, tools, signal);
  button(
    kit,
    tools,
    "Reset",
    () => link.set(CLEAR),
    "Reset: clear brush, residue, proteins, pins and what is listed",
    signal,
  );
  tools.append(keysHelp(kit));
  return made;
}

/**
 * @param {Kit} kit
 * @param {Link} link
 * @param {Store} store
 * @param {HTMLElement} tools
 * @param {AbortSignal} signal
 */
function numberField(kit, link, store, tools, signal) {
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
  const label = kit.element("label", {}, [kit.element("span", { text: "Feature" }), input]);
  button(kit, tools, "‹", () => store.step(-1), "Previous feature", signal);
  tools.append(label);
  button(kit, tools, "›", () => store.step(1), "Next feature", signal);
}

/**
 * @param {Kit} kit
 * @param {HTMLElement} tools
 * @param {string} text
 * @param {() => void} act
 * @param {string} hint
 * @param {AbortSignal} signal
 */
function button(kit, tools, text, act, hint, signal) {
  const made = kit.element("button", { type: "button", text, title: hint, "aria-label": hint });
  made.addEventListener("click", act, { signal });
  tools.append(made);
  return made;
}

/** @param {Kit} kit */
function keysHelp(kit) {
  const rows = KEYS.flatMap(([key, does]) => [
    kit.element("dt", { text: key }),
    kit.element("dd", { text: does }),
  ]);
  return kit.element("details", { class: "iplm-keys" }, [
    kit.element("summary", { text: "Keys" }),
    kit.element("dl", {}, rows),
  ]);
}

export default { render };

// @ts-check
// The JavaScript half of `Workbench`: the views on one screen, under a bar that says and sets which
// feature is looked at. The rest take turns behind tabs.

import { barOf, skipsOf } from "./workbench/bar.js";
import { layoutFor, PANES, TITLES } from "./workbench/layout.js";
import { roomOf } from "./workbench/room.js";
import { Tabs } from "./workbench/tabs.js";

/** @import { Context, Kit, Link, Store } from "./kit/types.js" */

const MARGIN = 12; // pixels that stay free below
const CLEAR = { brush: [], position: null, accession: "", accessions: [], pinned: [], listed: {} };

/** @param {Context} context */
async function render(context) {
  const { model, el, host, signal } = context;
  /** @type {Kit} */
  const kit = (await host.getWidget(model.get("kit"))).exports;
  /** @type {Link} */
  const link = (await host.getWidget(model.get("selection"))).exports;
  /** @type {Store} */
  const store = (await host.getWidget(model.get("data"))).exports;
  store.attach(link, host);
  kit.dress(el);
  const panes = PANES.map((pane) => new Tabs(kit, model, pane, TITLES, signal));
  const grid = kit.element(
    "div",
    { class: "iplm-grid" },
    panes.map(({ root }) => root),
  );
  const bench = kit.element("div", {
    class: "iplm-bench",
    role: "group",
    "aria-label": "Workbench",
  });
  const end = kit.element("div", { class: "iplm-end", tabindex: -1 });
  const lack = kit.element("p", { class: "iplm-lack", role: "status", hidden: "" });
  const fill = () =>
    document.fullscreenElement === bench ? document.exitFullscreen() : bench.requestFullscreen();
  /** @type {[string, () => HTMLElement][]} */
  const places = panes.map((pane) => [
    TITLES[pane.pane.views[0]].toLowerCase(),
    () => pane.places.get(pane.front),
  ]);
  bench.append(
    skipsOf(kit, [...places, ["the end of the workbench", () => end]], signal),
    barOf(kit, link, store, signal, { reset: () => link.set(CLEAR), fill }),
    grid,
    lack,
    end,
  );
  el.append(bench);
  kit.followTheme(bench, signal);
  listen({ kit, store, bench, panes, fill, signal });
  // What no view can show is said once, over what was seen last.
  const missing = () => {
    lack.textContent = store.state === "missing" ? store.message : "";
    lack.hidden = !lack.textContent;
  };
  store.on(missing, signal);
  missing();
  fit(bench, el, signal);
  await Promise.all(
    panes.flatMap((pane) =>
      [...pane.places].map(async ([view, place]) =>
        (await host.getWidget(model.get(view))).render({ el: place, signal }),
      ),
    ),
  );
}

/**
 * @param {{ kit: Kit, store: Store, bench: HTMLElement, panes: Tabs[], fill: () => void,
 *   signal: AbortSignal }} parts
 */
function listen({ kit, store, bench, panes, fill, signal }) {
  const keyboard = (/** @type {KeyboardEvent} */ event) => {
    if (kit.stepsByKeyboard(event, store)) return;
    if (event.key !== "F" || event.defaultPrevented || kit.isTyping(event)) return;
    if (event.ctrlKey || event.metaKey || event.altKey || !document.fullscreenEnabled) return;
    event.preventDefault();
    fill();
  };
  bench.addEventListener("keydown", keyboard, { signal });
  // Before the view hears of it: what is behind a tab takes no focus.
  const searching = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "/" && !kit.isTyping(event)) panes[0].show("table");
  };
  bench.addEventListener("keydown", searching, { signal, capture: true });
}

/**
 * Fill what the page gives, and follow it.
 * @param {HTMLElement} bench @param {HTMLElement} el @param {AbortSignal} signal
 */
function fit(bench, el, signal) {
  let before = "";
  /** @type {Element | null} */
  let frame = null;
  const measure = () => {
    if (!bench.clientWidth) return; // not on the page, or behind another tab of JupyterLab
    const found = roomOf(bench, MARGIN);
    if (frame && frame !== found.frame) observer.unobserve(frame);
    if (frame !== found.frame) observer.observe(found.frame);
    frame = found.frame;
    const { name, height } = layoutFor(bench.clientWidth, found.room);
    bench.dataset.layout = name;
    bench.classList.toggle("iplm-fixed", height > 0);
    bench.style.height = height ? `${height}px` : "";
  };
  const observer = new ResizeObserver(() => {
    const now = `${el.clientWidth} ${frame?.clientHeight}`; // the height of `el` is ours
    if (now !== before) measure();
    before = `${el.clientWidth} ${frame?.clientHeight}`;
  });
  observer.observe(el);
  signal.addEventListener("abort", () => observer.disconnect());
  window.addEventListener("resize", measure, { signal });
  document.addEventListener("fullscreenchange", measure, { signal });
}

export default { initialize: () => ({ render }) };

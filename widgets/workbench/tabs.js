// @ts-check
// Views that take turns in one place, by the pattern of the ARIA Authoring Practices: one tab stop,
// arrows, Home and End go from tab to tab, and what is gone to is shown.

/** @import { Kit, Model } from "../kit/types.js" */
/** @import { Pane } from "./layout.js" */

export class Tabs {
  /**
   * @param {Kit} kit
   * @param {Model} model of the workbench, which remembers the view in front
   * @param {Pane} pane
   * @param {Record<string, string>} titles
   * @param {AbortSignal} signal
   */
  constructor(kit, model, pane, titles, signal) {
    this.kit = kit;
    this.model = model;
    this.pane = pane;
    this.signal = signal;
    this.name = `iplm-${Math.random().toString(36).slice(2)}`; // a page may hold two workbenches
    this.places = new Map(pane.views.map((view) => [view, this.place(view)]));
    this.tabs = new Map(pane.views.map((view) => [view, this.tab(view, titles[view])]));
    this.list = kit.element("div", { role: "tablist", "aria-label": pane.label }, [
      ...this.tabs.values(),
    ]);
    this.list.className = "iplm-tabs";
    const children = pane.trait ? [this.list, ...this.places.values()] : [...this.places.values()];
    this.root = kit.element("div", { class: "iplm-pane", "data-pane": pane.name }, children);
    if (pane.trait) this.follow();
  }

  follow() {
    const changed = () => this.turn();
    this.model.on(`change:${this.pane.trait}`, changed);
    this.signal.addEventListener("abort", () =>
      this.model.off(`change:${this.pane.trait}`, changed),
    );
    const pressed = (/** @type {KeyboardEvent} */ event) => this.keyboard(event);
    this.list.addEventListener("keydown", pressed, { signal: this.signal });
    this.turn();
  }

  /** The view in front. */
  get front() {
    return this.pane.trait ? this.model.get(this.pane.trait) : this.pane.views[0];
  }

  /** @param {string} view */
  place(view) {
    const attributes = { class: "iplm-place", "data-view": view, tabindex: -1 };
    const id = this.id(view);
    const panel = { role: "tabpanel", id, "aria-labelledby": `${id}-tab` };
    return this.kit.element("div", { ...attributes, ...(this.pane.trait ? panel : {}) });
  }

  /** @param {string} view @param {string} title */
  tab(view, title) {
    const made = this.kit.element("button", {
      type: "button",
      role: "tab",
      id: `${this.id(view)}-tab`,
      "aria-controls": this.id(view),
      text: title,
    });
    made.addEventListener("click", () => this.show(view), { signal: this.signal });
    return made;
  }

  /** @param {string} view */
  id(view) {
    return `${this.name}-${view}`;
  }

  /** Bring a view to the front, and remember it. @param {string} view */
  show(view) {
    if (!this.pane.trait || this.front === view) return;
    this.model.set(this.pane.trait, view);
    this.model.save_changes();
  }

  turn() {
    for (const [view, tab] of this.tabs) {
      const isFront = view === this.front;
      tab.setAttribute("aria-selected", String(isFront));
      tab.tabIndex = isFront ? 0 : -1;
      this.places.get(view).classList.toggle("iplm-behind", !isFront);
    }
  }

  /** @param {KeyboardEvent} event */
  keyboard(event) {
    const { views } = this.pane;
    const at = views.indexOf(this.front);
    const to = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1,
      Home: 0,
      End: views.length - 1,
    }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const view = views[(to + views.length) % views.length];
    this.show(view);
    this.tabs.get(view).focus();
  }
}

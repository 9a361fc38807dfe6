// @ts-check
// What surrounds every view: title, tools, the words for loading and errors, the line that says
// what is selected, keys, exports.

import { addMenu } from "./menu.js";
import { Plot } from "./plot.js";
import { saveMenu } from "./save.js";
import { readTheme, watchTheme } from "./theme.js";
import { Tip } from "./tip.js";

/** @import { Context, Kit, Link, Store } from "./types.js" */

/**
 * @typedef {object} Options
 * @property {string} title what the view shows, also its name for screen readers
 * @property {string} kind its CSS class is iplm-<kind>
 */

/**
 * @param {string} name
 * @param {Record<string, any>} [attributes] `text` is the content; null leaves one out
 * @param {Node[]} [children]
 * @returns {any}
 */
export function element(name, attributes = {}, children = []) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") made.textContent = value;
    else if (value !== null && value !== undefined) made.setAttribute(key, String(value));
  }
  made.append(...children);
  // JupyterLab has shortcuts for what has the focus in a notebook, such as an arrow on a slider.
  if (made.matches(TAKES_FOCUS)) made.setAttribute("data-lm-suppress-shortcuts", "true");
  return made;
}

const TAKES_FOCUS = "a[href], button, input, select, summary, textarea, [tabindex]";
const REST = 500; // ms

/** @param {KeyboardEvent} event */
export function isTyping({ target }) {
  return target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement;
}

/**
 * `[` and `]`: the feature before or after, in the table's order. Keyboards that have them behind
 * Alt are heard too.
 * @param {KeyboardEvent} event @param {Store} store
 */
export function stepsByKeyboard(event, store) {
  const by = { "[": -1, "]": 1 }[event.key];
  const isCommand = event.metaKey || (event.ctrlKey && !event.getModifierState("AltGraph"));
  if (!by || event.defaultPrevented || isCommand || isTyping(event)) return false;
  store.step(by);
  event.preventDefault();
  return true;
}

/**
 * One view on the page. Views draw into `body`, read `link` (the selection) and `store` (the data),
 * and write `link` alone.
 */
export class Frame {
  /**
   * @param {Context} context
   * @param {Options} options
   * @param {Kit} kit
   * @param {Link} link
   * @param {Store} store
   */
  constructor({ model, el, signal }, { title, kind }, kit, link, store) {
    this.model = model;
    this.signal = signal;
    this.kit = kit;
    this.link = link;
    this.store = store;
    this.title = title;
    this.kind = kind;
    this.heading = element("h3", { text: title });
    this.subtitle = element("span", { class: "iplm-sub" });
    const whole = () => (this.subtitle.title = this.subtitle.textContent);
    this.subtitle.addEventListener("pointerenter", whole, { signal });
    this.tools = element("div", {
      class: "iplm-tools",
      role: "group",
      "aria-label": `Controls of ${title}`,
    });
    this.header = element("header", {}, [this.heading, this.subtitle, this.tools]);
    this.body = element("div", { class: "iplm-body" });
    this.words = element("p", { class: "iplm-words", hidden: "" });
    this.status = element("p", { class: "iplm-say" });
    this.spoken = element("p", { class: "iplm-hidden", role: "status" });
    // Lumino, under JupyterLab, takes single keys for itself elsewhere.
    const attributes = {
      class: `iplm-view iplm-${kind}`,
      role: "region",
      "aria-label": title,
      "data-lm-suppress-shortcuts": "true",
    };
    /** @type {HTMLElement} */
    this.root = element("section", attributes, [
      this.header,
      this.words,
      this.body,
      this.status,
      this.spoken,
    ]);
    el.append(this.root);
    /** @type {Set<() => void>} */
    this.themeListeners = new Set();
    this.theme = readTheme(this.root, kit.scales);
    this.watch();
  }

  watch() {
    watchTheme(() => {
      this.theme = readTheme(this.root, this.kit.scales);
      for (const listener of this.themeListeners) listener();
    }, this.signal);
    this.root.addEventListener("keydown", (event) => this.keyboard(event), { signal: this.signal });
    this.store.on(() => this.showState(), this.signal);
    this.signal.addEventListener("abort", () => clearTimeout(this.speaking));
    this.showState();
  }

  /** Keys that every view has. @param {KeyboardEvent} event */
  keyboard(event) {
    if (stepsByKeyboard(event, this.store)) return;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping(event) && event.key !== "Escape") return;
    if (event.key === "Escape") this.clear();
    else if (event.key === "/" && this.store.focusSearch) this.store.focusSearch();
    else return;
    event.preventDefault();
  }

  clear() {
    this.link.setHover(null);
    this.link.set({ brush: [], position: null });
  }

  showState() {
    const { state, message } = this.store;
    this.root.setAttribute("aria-busy", String(state === "loading"));
    this.root.dataset.state = state;
    this.tell(state === "ready" ? "" : message, state);
  }

  /**
   * Words instead of the picture, or above it: what is missing and why.
   * @param {string} text empty: none
   * @param {string} [kind] "loading", "empty", "missing"
   */
  tell(text, kind = "empty") {
    this.words.textContent = text;
    this.words.hidden = !text;
    this.words.dataset.kind = kind;
  }

  /** The line below the view; screen readers speak it when it has rested. @param {string} text */
  say(text) {
    if (this.status.textContent === text) return;
    this.status.textContent = this.status.title = text; // a workbench may cut it short
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => this.speak(text), REST);
  }

  /**
   * All views say something of one change: where the focus is in one of them, that one alone is
   * spoken.
   * @param {string} text
   */
  speak(text) {
    const page = /** @type {Document | ShadowRoot} */ (this.root.getRootNode());
    const focused = page.activeElement?.closest("section.iplm-view");
    if (!focused || focused === this.root) this.spoken.textContent = text;
  }

  /**
   * Hear of the view's own traits, as long as it is on the page.
   * @param {string[]} names @param {() => void} act
   */
  onModel(names, act) {
    for (const name of names) this.model.on(`change:${name}`, act);
    this.signal.addEventListener("abort", () =>
      names.forEach((name) => this.model.off(`change:${name}`, act)),
    );
  }

  /** Set a trait of the view, and keep it. @param {string} name @param {any} value */
  keep(name, value) {
    this.model.set(name, value);
    this.model.save_changes();
  }

  /** @param {() => void} listener called after `theme` has changed */
  onTheme(listener) {
    this.themeListeners.add(listener);
  }

  /** Height that the view is to fill, in pixels, within a workbench; 0: as it likes. */
  get room() {
    return this.root.closest(".iplm-fixed") ? this.body.clientHeight : 0;
  }

  /**
   * A picture that follows its width, the theme and the pixel ratio: see `Plot`.
   * @param {import("./plot.js").Options} options
   */
  plot(options) {
    return new Plot(this, options);
  }

  /** A box of words next to what is pointed at. @param {HTMLElement} [home] it stays in it */
  tip(home = this.body) {
    return new Tip(home);
  }

  /** @param {string} label @param {() => void} act @param {string} [hint] */
  button(label, act, hint = label) {
    const made = element("button", {
      type: "button",
      text: label,
      title: hint,
      "aria-label": hint,
    });
    made.addEventListener("click", act, { signal: this.signal });
    this.tools.append(made);
    return made;
  }

  /**
   * @param {string} label
   * @param {boolean} on
   * @param {(on: boolean) => void} act
   * @param {string} [hint]
   */
  toggle(label, on, act, hint = label) {
    const made = this.button(
      label,
      () => {
        made.setAttribute("aria-pressed", String(made.getAttribute("aria-pressed") !== "true"));
        act(made.getAttribute("aria-pressed") === "true");
      },
      hint,
    );
    made.setAttribute("aria-pressed", String(on));
    return made;
  }

  /**
   * @param {string} label
   * @param {[string, string][]} options value and text
   * @param {string} value
   * @param {(value: string) => void} act
   */
  choice(label, options, value, act) {
    const select = element(
      "select",
      {},
      options.map(([v, text]) => element("option", { value: v, text })),
    );
    select.value = value;
    select.addEventListener("change", () => act(select.value), { signal: this.signal });
    this.tools.append(element("label", {}, [element("span", { text: label }), select]));
    return select;
  }

  /**
   * @param {Parameters<typeof addMenu>[1]} options
   * @param {HTMLElement} items
   */
  menu(options, items) {
    addMenu(this, options, items);
  }

  /**
   * A menu with PNG, SVG and CSV.
   * @param {import("./save.js").Saves} saves
   * @returns {HTMLElement} where other files may be added
   */
  saves(saves) {
    return saveMenu(this, saves);
  }

  /** A file name that says what it holds. @param {string} ending */
  fileName(ending) {
    const { source } = this.store.about;
    const name = `${this.kind}_${source}_feature_${this.link.get("feature")}.${ending}`;
    return name.replace(/[^\w.-]/g, "_");
  }
}

// @ts-check
// The JavaScript half of `SteeringPanel`.

import { changeScales } from "./kit/changes.js";
import { fetchBox } from "./kit/fetch_box.js";
import { Kernel } from "./kit/kernel.js";
import { Asker } from "./steering_panel/asker.js";
import { Controls } from "./steering_panel/controls.js";
import { heatLayout } from "./steering_panel/heat.js";
import { listenTo } from "./steering_panel/input.js";
import { logosLayout } from "./steering_panel/logos.js";
import {
  paintHeat,
  paintLogos,
  picturesOf,
  probabilityTable,
} from "./steering_panel/picture.js";
import { Prediction } from "./steering_panel/prediction.js";
import { pythonBox } from "./steering_panel/python.js";
import { placeWords, proteinWords, waitedWords } from "./steering_panel/words.js";

/** @import { Context, Kit, Surface, View } from "./kit/types.js" */
/** @import { Settings } from "./steering_panel/controls.js" */

const SETTINGS = [
  "sequence",
  "features",
  "positions",
  "masks",
  "how",
  "strength",
  "where",
  "keep_error",
  "control",
  "seed",
];
const TICK = 100; // ms between two words of how long a person has waited
const KEYS =
  "Left and Right move along the residues, Up and Down along the amino acids, Enter goes to " +
  "where predictions move most.";

/** @param {Context} context */
async function render(context) {
  /** @type {Kit} */
  const kit = (await context.host.getWidget(context.model.get("kit"))).exports;
  const view = await kit.open(context, { title: "Steering", kind: "steering" });
  new Panel(kit, view);
}

/** One panel on the page. */
export class Panel {
  /** @param {Kit} kit @param {View} view */
  constructor(kit, view) {
    this.kit = kit;
    this.view = view;
    this.about = view.model.get("about");
    this.scales = changeScales(this.about);
    /** @type {Prediction | null} */
    this.prediction = null;
    /** @type {Settings} */
    this.settings = this.fromModel();
    /** A setting is answered at once, once a person has asked the first time. */
    this.live = Boolean(view.model.get("result")?.byteLength);
    /** To be asked for when the view is seen. */
    this.due = false;
    /** What was typed and is no setting. */
    this.refused = "";
    /** @type {number | null} the residue under the pointer */
    this.pointed = null;
    this.pointedLetter = "";
    /** The amino acid that keys are on; empty: none. */
    this.letter = "";
    /** @type {number | null} the residue in focus where the protein is not the run's */
    this.own = null;
    this.kernel = new Kernel(view, () => this.heard(), {
      needs: "Steering",
      kept: "what was steered last",
      again: "steer",
    });
    this.asker = new Asker(this.kernel, () => this.settings);
    this.controls = new Controls(kit, {
      set: (part) => this.set(part),
      refuse: (problem) => this.refuse(problem),
      steer: () => this.steer(),
      position: () => this.chosen,
      signal: view.signal,
      about: this.about,
    });
    this.fetch = fetchBox(kit, { fetch: () => this.fetchWeights(), signal: view.signal });
    this.state = kit.element("p", { class: "iplm-words", hidden: "" });
    this.told = kit.element("span", { role: "status" });
    this.waited = kit.element("span", { "aria-hidden": "true" });
    this.state.append(this.told, this.waited);
    this.effect = kit.element("p", { class: "iplm-effect", role: "status" });
    const plot = (
      /** @type {string} */ label,
      /** @type {(width: number) => any} */ layout,
      /** @type {(panel: Panel, surface: Surface, layout: any) => void} */ paint,
    ) =>
      view.plot({
        label,
        role: "application",
        height: (width) => (this.prediction ? layout(width).height : 1),
        draw: (surface, width) => this.prediction && paint(this, surface, layout(width)),
      });
    this.heat = plot("Heat maps", (width) => this.heatLayout(width), paintHeat);
    this.logos = plot("Predicted logos", (width) => this.logosLayout(width), paintLogos);
    this.python = pythonBox(kit, view, () => this.prediction?.record.snippet ?? "");
    this.shown = kit.element("div", { hidden: "" }, [
      this.effect,
      this.heat.canvas,
      this.logos.canvas,
      this.python.root,
    ]);
    view.body.append(this.controls.root, this.fetch.root, this.state, this.shown);
    view.saves({ ...picturesOf(this), csv: () => probabilityTable(this.prediction) });
    this.listen();
    this.arrived();
  }

  listen() {
    const { link, store, signal } = this.view;
    this.view.onModel(["result"], () => this.arrived());
    this.view.onModel(["missing"], () => this.changed());
    this.view.onModel(SETTINGS, () => this.followed());
    store.on(() => this.changed(), signal);
    link.on(["feature"], () => this.selected(this.settings.features.length === 0), signal);
    link.on(["accession"], () => this.selected(this.settings.sequence === ""), signal);
    link.on(["position"], () => this.changed(), signal);
    link.on(["hover"], () => this.redraw(), signal);
    listenTo(this);
    const seen = new ResizeObserver(() => this.seen());
    seen.observe(this.view.body);
    const ticking = setInterval(() => this.tick(), TICK);
    signal.addEventListener("abort", () => {
      seen.disconnect();
      clearInterval(ticking);
      this.asker.stop();
    });
  }

  /** @returns {Settings} */
  fromModel() {
    const { model } = this.view;
    return /** @type {any} */ (
      Object.fromEntries(SETTINGS.map((name) => [name, model.get(name)]))
    );
  }

  /** Python has set something; while a person waits, the page knows better. */
  followed() {
    if (!this.asker.waiting) this.settings = this.fromModel();
    this.changed();
  }

  /** @param {Partial<Settings>} part */
  set(part) {
    const before = JSON.stringify(this.settings);
    this.refused = "";
    this.settings = { ...this.settings, ...part };
    // A field is heard at Enter, and again when it is left.
    if (this.live && JSON.stringify(this.settings) !== before) this.asker.ask();
    this.changed();
  }

  /** @param {string} problem */
  refuse(problem) {
    this.refused = problem;
    this.changed();
  }

  steer() {
    this.live = true;
    this.asker.ask(0);
    this.changed();
  }

  /** Another feature or protein. @param {boolean} matters */
  selected(matters) {
    if (matters && this.live) this.due = true;
    this.seen();
    this.changed();
  }

  /** What is behind a tab costs nothing until it is seen. */
  seen() {
    if (!this.due || !this.view.body.clientWidth) return;
    this.due = false;
    this.asker.ask();
    this.changed();
  }

  fetchWeights() {
    this.live = true;
    this.kernel.ask({ fetch: true, steer: ++this.asker.wanted, settings: this.settings });
    this.asker.flying = this.asker.wanted;
    this.asker.since = performance.now();
  }

  /** The kernel has said something. */
  heard() {
    if (!this.asker) return; // while it is made
    if (this.kernel.state !== "asked") this.asker.over();
    this.changed();
  }

  async arrived() {
    const bytes = this.view.model.get("result");
    const packed = bytes?.byteLength ? await this.kit.unpack(bytes) : null;
    if (bytes !== this.view.model.get("result")) return; // another came meanwhile
    if (packed && !this.asker.fits(packed.record.request)) return; // a newer one is on its way
    if (packed) this.live = true;
    this.prediction = packed && new Prediction(packed, this.about);
    this.changed();
  }

  /** The run's protein with this sequence; empty: none. @returns {string} */
  get accession() {
    return this.prediction?.record.accession ?? "";
  }

  /** The residue in focus. @returns {number | null} */
  get chosen() {
    const { link } = this.view;
    if (!this.prediction) return link.get("position");
    if (!this.accession) return this.own;
    return link.get("accession") === this.accession ? link.get("position") : null;
  }

  get hovered() {
    const { hover } = this.view.link;
    const shared = hover && this.accession && hover.accession === this.accession;
    return this.pointed ?? (shared ? hover.position : null);
  }

  /** @param {number | null} position */
  choose(position) {
    if (!position) return;
    if (this.accession) this.view.link.set({ accession: this.accession, position });
    else this.own = position;
    this.changed();
  }

  /** @param {number | null} position @param {string} letter */
  point(position, letter) {
    if (position === this.pointed && letter === this.pointedLetter) return;
    this.pointed = position;
    this.pointedLetter = letter;
    if (this.accession)
      this.view.link.setHover(position ? { accession: this.accession, position } : null);
    this.redraw();
    this.describe();
  }

  /** @param {string} letter */
  tryLetter(letter) {
    this.letter = letter;
    this.redraw();
    this.describe();
  }

  /** @param {number} width @param {number} [top] */
  heatLayout(width, top = 0) {
    return heatLayout(width, top);
  }

  /** @param {number} width @param {number} [top] */
  logosLayout(width, top = 0) {
    const prediction = /** @type {Prediction} */ (this.prediction);
    return logosLayout(width, prediction, this.chosen ?? prediction.most, top);
  }

  redraw() {
    if (this.prediction) for (const plot of [this.heat, this.logos]) plot.redraw();
  }

  /** How long a person has waited. */
  tick() {
    const { asker, kernel } = this;
    const busy = asker.waiting && kernel.state === "asked";
    this.waited.textContent = busy ? ` ${waitedWords(performance.now() - asker.since)}` : "";
  }

  /** Anything but the pointer. */
  changed() {
    const { kernel, view, asker, prediction, about } = this;
    const { text, kind } = this.stateWords();
    this.told.textContent = text;
    this.state.dataset.kind = kind;
    this.state.hidden = !text;
    this.tick();
    view.body.setAttribute("aria-busy", String(asker.waiting));
    this.shown.hidden = !prediction;
    this.shown.classList.toggle("iplm-stale", asker.waiting);
    const able = !kernel.none && !about.unable;
    const feature = view.link.get("feature");
    this.controls.update(this.settings, { able, feature, live: this.live });
    const missing = able ? view.model.get("missing") : {};
    this.fetch.update(missing, kernel.state === "asked" || kind === "loading");
    this.dress();
    this.python.update();
    this.describe();
    this.redraw();
  }

  /** Why nothing, or nothing new, is shown; empty: all is well. */
  stateWords() {
    const { kernel, about, prediction, live } = this;
    const said = kernel.words(prediction !== null);
    if (about.unable && !kernel.none) return { text: about.unable, kind: "missing" };
    if (this.refused) return { text: this.refused, kind: "missing" };
    if (said.text) return said;
    if (prediction || live || this.view.model.get("missing").text) return said;
    const text = `Steer runs ${about.model} on ${this.target()}. Nothing has run yet.`;
    return { text, kind: "hint" };
  }

  /** The protein that would be read. */
  target() {
    if (this.settings.sequence) return "your sequence";
    const { store, link } = this.view;
    return link.get("accession") || (store.bundle?.proteins[0]?.accession ?? "the first protein");
  }

  dress() {
    const { prediction, view, kernel } = this;
    if (!prediction) {
      view.subtitle.textContent = "";
      return;
    }
    const name = proteinWords(prediction);
    const took = kernel.took === null ? "" : `; answered in ${Math.round(kernel.took)} ms`;
    view.subtitle.textContent = `${name}${took}`;
    this.effect.textContent = prediction.record.sentence;
    this.heat.canvas.setAttribute("aria-label", `Heat maps of ${name}. ${KEYS}`);
    this.logos.canvas.setAttribute("aria-label", `Predicted logos of ${name}. ${KEYS}`);
  }

  describe() {
    const { prediction, pointed, pointedLetter, letter, chosen } = this;
    const position = pointed ?? chosen;
    if (!prediction) this.view.say("");
    else if (position === null)
      this.view.say("Choose a residue, with a click or the arrow keys, to read its prediction");
    else this.view.say(placeWords(prediction, position, pointed ? pointedLetter : letter));
  }
}

export default { initialize: () => ({ render }) };

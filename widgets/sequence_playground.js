// @ts-check
// The JavaScript half of `SequencePlayground`.

import { changeScales } from "./kit/changes.js";
import { fetchBox } from "./kit/fetch_box.js";
import { askBox, mutationChips, residueEditor } from "./sequence_playground/editor.js";
import { listenTo, scrollToLetter } from "./sequence_playground/input.js";
import { Kernel } from "./kit/kernel.js";
import { letterLayout } from "./sequence_playground/letters.js";
import { featureTable, picturesOf } from "./sequence_playground/picture.js";
import { nullsBox } from "./sequence_playground/nulls.js";
import { plotsOf } from "./sequence_playground/plots.js";
import { Reading } from "./sequence_playground/reading.js";
import { positionOf, substituted, written } from "./sequence_playground/substitutions.js";
import { Scan, scanLayout } from "./sequence_playground/scan.js";
import { stripLayout } from "./sequence_playground/strips.js";
import {
  effectWords,
  fastaOf,
  named,
  nameWords,
  residueWords,
  saidWords,
} from "./sequence_playground/words.js";

/** @import { Context, Kit, View } from "./kit/types.js" */

const LETTER_KEYS =
  "Arrow keys choose a residue, a letter key puts that amino acid there, Backspace takes it back.";
const STRIP_KEYS = "Up and down move along the rows, Enter selects a row's feature.";
const SCAN_KEYS = "Up and down move along the amino acids, Enter puts one there.";

/** @param {Context} context */
async function render(context) {
  /** @type {Kit} */
  const kit = (await context.host.getWidget(context.model.get("kit"))).exports;
  const view = await kit.open(context, { title: "Sequence playground", kind: "playground" });
  new Playground(kit, view);
}

/** One playground on the page. */
export class Playground {
  /** @param {Kit} kit @param {View} view */
  constructor(kit, view) {
    this.kit = kit;
    this.view = view;
    this.about = view.model.get("about");
    this.scales = changeScales(this.about);
    /** @type {Reading | null} */
    this.reading = null;
    /** @type {Scan | null} */
    this.scan = null;
    /** @type {number | null} the chosen residue */
    this.position = null;
    /** @type {number | null} the residue under the pointer */
    this.pointed = null;
    /** The row that keys are on, or -1. */
    this.cursor = -1;
    /** @type {string | null} the amino acid of the scan that keys are on */
    this.tried = null;
    /** @type {string[] | null} mutations that were requested and are on their way */
    this.pending = null;
    this.letterLayout = (/** @type {number} */ width, top = 0) =>
      letterLayout(width, this.reading?.length ?? 0, top);
    this.stripLayout = (/** @type {number} */ width, top = 0) =>
      stripLayout(/** @type {Reading} */ (this.reading), width, top);
    this.scanLayout = (/** @type {number} */ width, top = 0) =>
      scanLayout(/** @type {Scan} */ (this.scan), width, top);
    this.kernel = new Kernel(view, () => this.answered(), {
      needs: "Reading a sequence",
      kept: "what was read last",
      again: "read another",
    });
    const { letters, strips, heat } = plotsOf(this);
    this.letters = letters;
    this.strips = strips;
    this.heat = heat;
    const on = this.controls();
    this.ask = askBox(kit, on);
    this.fetch = fetchBox(kit, on);
    this.editor = residueEditor(kit, on);
    this.chips = mutationChips(kit, on);
    this.state = kit.element("p", { class: "iplm-words", role: "status", hidden: "" });
    this.effect = kit.element("p", { class: "iplm-effect", role: "status" });
    this.likelihood = kit.element("p", { class: "iplm-hint", role: "status" });
    this.nulls = nullsBox(kit, on);
    this.direction = kit.element("p", { class: "iplm-hint", text: this.about.direction });
    this.scroller = kit.element("div", { class: "iplm-letters" }, [this.letters.canvas]);
    this.scanTitle = kit.element("h4", {});
    this.scanPart = kit.element("div", { hidden: "" }, [this.scanTitle, this.heat.canvas]);
    const words = [this.effect, this.likelihood, this.nulls.root, this.direction];
    const parts = [
      this.scroller,
      this.editor.root,
      this.chips.root,
      ...words,
      this.scanPart,
      this.strips.canvas,
    ];
    this.shown = kit.element("div", { hidden: "" }, parts);
    view.body.append(this.ask.root, this.fetch.root, this.state, this.shown);
    if (view.store.about.note)
      view.root.append(kit.element("p", { class: "iplm-note", text: view.store.about.note }));
    view.saves({ ...picturesOf(this), csv: () => featureTable(this.reading) });
    this.listen();
    this.arrived();
    this.scanned();
  }

  /** What boxes and buttons do. */
  controls() {
    return {
      read: (/** @type {string} */ text) => this.read(text),
      fetch: () => this.fetchWeights(),
      example: () => this.example(),
      mutate: (/** @type {string} */ letter) => this.mutate(letter),
      scan: () => this.position && this.kernel.ask({ position: this.position }),
      nulls: () => this.kernel.ask({ nulls: true }),
      select: (/** @type {number} */ feature) => this.view.link.set({ feature }),
      name: (/** @type {number} */ feature) => this.featureName(feature),
      remove: (/** @type {string} */ mutation) => this.restore(positionOf(mutation)),
      reset: () => this.reset(),
      signal: this.view.signal,
      ...this.about,
    };
  }

  listen() {
    const { link, store, signal } = this.view;
    this.view.onModel(["result"], () => this.arrived());
    this.view.onModel(["scanned"], () => this.scanned());
    this.view.onModel(["mutations", "missing", "likelihood", "nulls"], () => this.changed());
    store.on(() => this.changed(), signal);
    link.on(["feature"], () => this.changed(), signal);
    link.on(["brush"], () => this.brushed(), signal);
    link.on(["position", "accession"], () => this.followed(), signal);
    link.on(["hover"], () => this.redraw(), signal);
    listenTo(this);
  }

  /** What the kernel has read. */
  async arrived() {
    const bytes = this.view.model.get("result");
    const reading = bytes?.byteLength ? new Reading(await this.kit.unpack(bytes)) : null;
    if (bytes !== this.view.model.get("result")) return; // another came meanwhile
    if (reading?.reference !== this.reading?.reference) this.position = null;
    this.reading = reading;
    if (reading && !this.ask.box.value) this.ask.box.value = fastaOf(reading);
    this.followed();
  }

  async scanned() {
    const bytes = this.view.model.get("scanned");
    this.scan = bytes?.byteLength
      ? new Scan(await this.kit.unpack(bytes), this.about.groups)
      : null;
    this.tried = null;
    this.changed();
  }

  /** The state of a question has changed. */
  answered() {
    if (this.kernel.state !== "asked") this.pending = null;
    this.changed();
  }

  /** The protein in focus, or the strongest of the bundle. */
  example() {
    const { store, link } = this.view;
    return store.bundle?.proteins[Math.max(0, store.bundle.place(link.get("accession")))] ?? null;
  }

  /** @param {string} text */
  read(text) {
    this.pending = null;
    this.kernel.ask({ text });
  }

  /** Fetch the model's weights, then read what is in the box. */
  fetchWeights() {
    const text = this.ask.box.value;
    this.kernel.ask(text.trim() ? { fetch: true, text } : { fetch: true });
  }

  /** @param {string[]} mutations */
  setMutations(mutations) {
    if (this.kernel.none) return;
    this.pending = mutations;
    this.kernel.ask({ mutations });
  }

  /** Put an amino acid at the chosen residue. @param {string} letter */
  mutate(letter) {
    if (!this.position || !this.reading) return;
    const mutations = this.pending ?? this.view.model.get("mutations");
    const next = substituted(mutations, this.reading.reference, this.position, letter);
    if (String(next) !== String(mutations)) this.setMutations(next);
  }

  /** Take a mutation back; its button goes, so that the focus moves on. @param {number} position */
  restore(position) {
    this.letters.canvas.focus();
    const mutations = /** @type {string[]} */ (this.view.model.get("mutations"));
    this.setMutations(mutations.filter((mutation) => positionOf(mutation) !== position));
  }

  reset() {
    this.letters.canvas.focus();
    this.setMutations([]);
  }

  /** Make a substitution of the scan. @param {string | null} letter */
  make(letter) {
    if (!letter || !this.scan) return;
    this.choose(this.scan.record.position);
    this.mutate(letter);
  }

  /** The run's protein with this sequence; empty: no such protein. @returns {string} */
  get own() {
    return this.reading?.record.accession ?? "";
  }

  /** The residue that is selected elsewhere, where this is the same protein. */
  followed() {
    const { link } = this.view;
    if (this.own && link.get("accession") === this.own) this.position = link.get("position");
    this.changed();
  }

  /** @param {number | null} position */
  choose(position) {
    this.position = position && this.reading && position <= this.reading.length ? position : null;
    if (this.own && this.position)
      this.view.link.set({ accession: this.own, position: this.position });
    this.changed();
    if (this.position)
      scrollToLetter(this.scroller, this.letterLayout(this.letters.width), this.position);
  }

  /** @param {number | null} position under the pointer */
  point(position) {
    if (position === this.pointed) return;
    this.pointed = position;
    if (this.own) this.view.link.setHover(position ? { accession: this.own, position } : null);
    this.redraw();
    this.describe();
  }

  /** @param {number} cursor row of the strips, or -1 */
  move(cursor) {
    this.cursor = cursor;
    this.strips.redraw();
    this.describe();
  }

  /** @param {string | null} letter of the scan */
  try(letter) {
    this.tried = letter;
    this.heat.redraw();
    this.describe();
  }

  get hovered() {
    const { hover } = this.view.link;
    return (
      this.pointed ?? (hover && this.own && hover.accession === this.own ? hover.position : null)
    );
  }

  redraw() {
    if (!this.reading) return;
    for (const plot of [this.letters, this.strips]) plot.redraw();
  }

  brushed() {
    this.letters.redraw();
    this.describe();
  }

  /** Anything but the pointer and the brush. */
  changed() {
    const { reading, kernel, view } = this;
    const { text, kind } = kernel.words(reading !== null);
    this.state.textContent = text;
    this.state.dataset.kind = kind;
    this.state.hidden = !text;
    view.body.setAttribute("aria-busy", String(kind === "loading" || kernel.state === "asked"));
    this.shown.hidden = !reading;
    this.ask.update(!kernel.none);
    const went = this.fetch.update(
      kernel.none ? {} : view.model.get("missing"),
      kernel.state === "asked" || kind === "loading",
    );
    if (went) this.ask.box.focus();
    if (reading) this.dress(reading);
    else view.subtitle.textContent = "";
    this.describe();
    this.redraw();
    this.heat.redraw();
  }

  /** Buttons, chips and sentences of what was read. @param {Reading} reading */
  dress(reading) {
    const { kernel, position, view, about } = this;
    const took = kernel.took === null ? "" : `; answered in ${Math.round(kernel.took)} ms`;
    view.subtitle.textContent = `${nameWords(reading)}${took}`;
    this.effect.textContent = effectWords(reading, about.changed);
    this.effect.hidden = !reading.mutated;
    this.dressMutant(reading);
    this.direction.hidden = !reading.mutated || !about.direction;
    const able = !kernel.none;
    const before = position ? reading.reference[position - 1] : "";
    const present = position ? reading.letters[position - 1] : "";
    const hint = kernel.none
      ? ""
      : "Choose a residue, with a click or the arrow keys, to change it.";
    this.editor.update(
      position ? residueWords(reading, position, this.row) : hint,
      present,
      before,
      able && position !== null,
    );
    this.chips.update(view.model.get("mutations"), able);
    this.scanPart.hidden = !this.scan || this.scan.record.sequence !== reading.reference;
    if (this.scan) this.scanTitle.textContent = this.scanWords();
    const name = nameWords(reading);
    this.letters.canvas.setAttribute("aria-label", `Sequence of ${name}. ${LETTER_KEYS}`);
    this.strips.canvas.setAttribute("aria-label", `Features of ${name}. ${STRIP_KEYS}`);
    this.heat.canvas.setAttribute("aria-label", `Substitutions in ${name}. ${SCAN_KEYS}`);
  }

  /** How likely the mutant that is shown is, and its nulls. @param {Reading} reading */
  dressMutant({ record, reference }) {
    const { model } = this.view;
    const mutations = record.mutations.map(written);
    const [likelihood, nulls] = ["likelihood", "nulls"].map((name) => model.get(name));
    const same =
      likelihood.sequence === reference && String(likelihood.mutations) === String(mutations);
    this.likelihood.textContent = same && mutations.length ? likelihood.words : "";
    this.likelihood.hidden = !this.likelihood.textContent;
    const own = nulls.sequence === reference && String(mutations) === nulls.mutation;
    const able = mutations.length === 1 && !this.kernel.none && same;
    this.nulls.update(own ? nulls : null, able);
  }

  /** "761 (Domain, any kind)", as far as the reading names it. @param {number} feature */
  featureName(feature) {
    const row = this.reading?.rows[this.reading.place(feature)];
    return row?.best ? `${feature} (${named(row.best)})` : String(feature);
  }

  scanWords() {
    const { before, position } = /** @type {Scan} */ (this.scan).record;
    return `All substitutions of ${before}${position} in the reference`;
  }

  /** The row of the selected feature, or -1. */
  get row() {
    return this.reading ? this.reading.place(this.view.link.get("feature")) : -1;
  }

  describe() {
    this.view.say(saidWords(this));
  }
}

export default { initialize: () => ({ render }) };

// @ts-check
// The JavaScript half of `SequenceLogo`.

import { rangeWords } from "./kit/words.js";
import { drawLogo } from "./sequence_logo/drawing.js";
import { columnAt, layoutOf } from "./sequence_logo/layout.js";
import { axisFor, logoOf, topOf } from "./sequence_logo/logo.js";
import { kindsOf } from "./sequence_logo/weights.js";
import { captionOf, columnWords, lacking } from "./sequence_logo/words.js";

/** @import { Bundle, Context, Kit, Surface, View } from "./kit/types.js" */

const SETTINGS = ["flank", "background", "enlarged", "alignment", "first"];

/** @param {Context} context */
async function render(context) {
  /** @type {Kit} */
  const kit = (await context.host.getWidget(context.model.get("kit"))).exports;
  const view = await kit.open(context, { title: "Sequence logo", kind: "logo" });
  new Logo(kit, view);
}

/** One logo on the page. */
class Logo {
  /** @param {Kit} kit @param {View} view */
  constructor(kit, view) {
    this.kit = kit;
    this.view = view;
    this.tables = view.model.get("tables");
    this.kinds = kindsOf(this.tables.letters);
    /** @type {number | null} the column that keys or the pointer are on */
    this.column = null;
    /** @type {import("./sequence_logo/logo.js").Logo} there once there is a bundle */
    this.logo = /** @type {any} */ (null);
    this.top = 1;
    /** What the axis was chosen for. */
    this.scaled = "";
    /** @type {Bundle | null} */
    this.scaledBundle = null;
    this.plain = "";
    this.measureText = (/** @type {string} */ text) => kit.widthOf(text, 10.5);
    this.controls();
    const height = (/** @type {number} */ width) => (this.bundle ? this.layout(width).height : 190);
    const draw = (/** @type {Surface} */ surface, /** @type {number} */ width) =>
      this.draw(surface, width);
    this.plot = view.plot({ label: view.title, height, role: "application", draw });
    view.saves({ plot: this.plot, csv: () => this.rows() });
    this.listen();
    this.changed();
  }

  controls() {
    const { view, kit } = this;
    const { model } = view;
    const range = {
      type: "number",
      min: 0,
      max: 50,
      step: 1,
      "aria-label": "Residues on each side",
    };
    this.flank = kit.element("input", { ...range, value: model.get("flank") });
    const stepped = () => {
      const value = Math.round(Number(this.flank.value));
      if (this.flank.value && value >= 0 && value <= 50) view.keep("flank", value);
    };
    this.flank.addEventListener("input", stepped, { signal: view.signal });
    this.flankLabel = kit.element("label", {}, [
      kit.element("span", { text: "residues each side" }),
      this.flank,
    ]);
    view.tools.append(this.flankLabel);
    /** @type {[string, string][]} */
    const backgrounds = [
      ["swissprot", "Swiss-Prot"],
      ["uniform", "uniform"],
    ];
    const chosen = (/** @type {string} */ value) => view.keep("background", value);
    this.background = view.choice("background", backgrounds, model.get("background"), chosen);
    const hint =
      "Enlarge columns next to the maximum; a taller one is shortened, with a break and its bits";
    this.enlarge = view.toggle(
      "enlarge",
      model.get("enlarged"),
      (/** @type {boolean} */ on) => view.keep("enlarged", on),
      hint,
    );
  }

  listen() {
    const { view } = this;
    const { canvas } = this.plot;
    const changed = () => this.changed();
    view.store.on(changed, view.signal);
    view.link.on(["brush", "accessions"], () => this.aligned || this.changed(), view.signal);
    view.link.on(["hover", "accession", "position"], () => this.pointed(), view.signal);
    view.onModel(SETTINGS, changed);
    const options = { signal: view.signal };
    canvas.addEventListener(
      "pointermove",
      (/** @type {PointerEvent} */ e) => this.go(this.under(e)),
      options,
    );
    canvas.addEventListener("pointerleave", () => this.go(null), options);
    canvas.addEventListener("blur", () => this.go(null), options);
    canvas.addEventListener(
      "click",
      (/** @type {MouseEvent} */ e) => this.choose(this.under(e)),
      options,
    );
    canvas.addEventListener(
      "keydown",
      (/** @type {KeyboardEvent} */ e) => this.keyboard(e),
      options,
    );
  }

  /** Null before the first has arrived. @returns {Bundle} */
  get bundle() {
    return /** @type {Bundle} */ (this.view.store.bundle);
  }

  get aligned() {
    return this.view.model.get("alignment").length > 0;
  }

  /** Anything that the letters depend on. */
  changed() {
    const { view } = this;
    if (!this.bundle) return;
    this.measure();
    this.plain = lacking(this.logo.basis) || captionOf(this.kit, this.logo.basis);
    this.flank.value =
      document.activeElement === this.flank ? this.flank.value : String(view.model.get("flank"));
    this.flankLabel.hidden = this.enlarge.hidden = this.aligned;
    this.enlarge.setAttribute("aria-pressed", String(view.model.get("enlarged")));
    this.background.value = view.model.get("background");
    if (this.column !== null && this.column >= this.logo.weights.columns) this.column = null;
    const { columns } = this.logo.weights;
    view.subtitle.textContent = this.aligned
      ? `${columns} columns of an alignment`
      : `feature ${this.bundle.feature}`;
    const keys = "Arrow keys move along the columns, Enter selects the residue of a column.";
    this.plot.canvas.setAttribute("aria-label", `Sequence logo. ${this.plain}. ${keys}`);
    this.pointed();
  }

  /**
   * The logo of what is brushed. The axis stays as long as the same windows may be brushed, unless
   * a column outgrows it.
   */
  measure() {
    const { model, link } = this.view;
    const background = model.get("background");
    const tables = { frequencies: this.tables.backgrounds[background], kinds: this.kinds };
    const [alignment, flank] = [model.get("alignment"), model.get("flank")];
    const asked = {
      alignment,
      flank,
      background,
      brush: link.get("brush"),
      accessions: link.get("accessions"),
    };
    this.logo = logoOf(this.bundle, asked, tables);
    const cut = model.get("enlarged") && !this.aligned ? asked.flank : null;
    const scaled = [asked.flank, background, this.aligned, cut, ...asked.accessions].join();
    if (this.scaled !== scaled || this.scaledBundle !== this.bundle)
      this.top = topOf(this.bundle, asked, tables, cut);
    [this.scaled, this.scaledBundle] = [scaled, this.bundle];
    this.top = Math.max(this.top, axisFor(this.logo.weights, cut));
  }

  /**
   * The column of a residue whose window holds it, or null.
   * @param {{ accession: string, position: number | null } | null} residue
   */
  columnOf(residue) {
    if (!residue?.position) return null;
    const centre = this.logo.centres.find(({ accession }) => accession === residue.accession);
    if (!centre) return null;
    const column = residue.position - centre.position + this.view.model.get("flank");
    return column >= 0 && column < this.logo.weights.columns ? column : null;
  }

  /**
   * The residue of a column: of the selected protein where it has a window, else of the strongest.
   * @param {number | null} column
   */
  residueOf(column) {
    if (column === null || !this.logo.centres.length) return null;
    const selected = this.logo.centres.find(
      ({ accession }) => accession === this.view.link.get("accession"),
    );
    const centre =
      selected ?? this.logo.centres.reduce((best, next) => (next.value > best.value ? next : best));
    const position = centre.position + column - this.view.model.get("flank");
    const { sequence } = this.bundle.proteins[centre.protein];
    const letter = sequence[position - 1]; // none beyond the ends
    return letter ? { accession: centre.accession, position, letter } : null;
  }

  /** @param {number} column */
  numbered(column) {
    return this.aligned
      ? this.view.model.get("first") + column
      : column - this.view.model.get("flank");
  }

  /** @param {number} column */
  label(column) {
    const number = this.numbered(column);
    return number > 0 && !this.aligned ? `+${number}` : String(number);
  }

  /** The column that is pointed at, here or elsewhere, has moved. */
  pointed() {
    if (!this.bundle) return;
    this.plot.redraw();
    this.view.say(this.column === null ? this.said() : this.saidColumn(this.column));
  }

  said() {
    const { link } = this.view;
    const column = this.columnOf({
      accession: link.get("accession"),
      position: link.get("position"),
    });
    const residue = `${link.get("accession")} ${link.get("position")}`;
    const selected =
      column === null ? "" : `. Selected: ${residue}, in column ${this.label(column)}`;
    const brush = link.get("brush");
    if (this.aligned || lacking(this.logo.basis)) return this.plain;
    const { n, shown } = this.logo.basis;
    const range = brush.length ? `Brushed ${rangeWords(brush)}: windows` : "Windows";
    return `${range} of ${this.kit.count(n)} of ${this.kit.count(shown)} proteins shown${selected}`;
  }

  /** @param {number} column */
  saidColumn(column) {
    const residue = this.residueOf(column);
    const enter = residue
      ? `; Enter selects ${residue.accession} ${residue.letter}${residue.position}`
      : "";
    return `Column ${this.words(column).join(", ")}${enter}`;
  }

  /** @param {number} column */
  words(column) {
    return columnWords(
      this.kit,
      this.logo.weights,
      column,
      this.logo.stacks[column],
      this.label(column),
      this.tables.letters,
    );
  }

  /** Be on a column, or on none. @param {number | null} column */
  go(column) {
    if (column === this.column || !this.bundle) return;
    this.column = column;
    const residue = this.residueOf(column);
    this.view.link.setHover(
      residue && { accession: residue.accession, position: residue.position },
    );
    this.pointed();
  }

  /** Select the residue of a column. @param {number | null} column */
  choose(column) {
    const residue = this.residueOf(column);
    if (residue) this.view.link.set({ accession: residue.accession, position: residue.position });
  }

  /** @param {MouseEvent} event */
  under(event) {
    if (!this.bundle) return null;
    const { x, y } = this.plot.at(event);
    return columnAt(this.layout(this.plot.width), this.logo.weights.columns, x, y);
  }

  /** @param {KeyboardEvent} event */
  keyboard(event) {
    if (!this.bundle || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.logo.weights.columns - 1;
    const here = this.column ?? (this.aligned ? 0 : this.view.model.get("flank"));
    const by = this.column === null ? 0 : 1; // the first key shows where one is
    const to = { ArrowLeft: here - by, ArrowRight: here + by, Home: 0, End: last }[event.key];
    if (to !== undefined) this.go(Math.max(0, Math.min(last, to)));
    else if (event.key === "Enter" || event.key === " ") this.choose(this.column);
    else if (event.key === "Escape") return this.go(null);
    else return;
    event.preventDefault();
  }

  /** @param {number} width */
  layout(width) {
    const { basis, weights } = this.logo;
    const longest = captionOf(this.kit, {
      ...basis,
      n: Math.max(basis.n, basis.shown),
      brushed: true,
    });
    return layoutOf(
      width,
      weights.columns,
      this.tables.groups.map(entryOf),
      longest,
      this.measureText,
    );
  }

  /** @param {Surface} surface @param {number} width */
  draw(surface, width) {
    if (!this.bundle) return;
    const { view } = this;
    const { letters, groups } = this.tables;
    const colour = (/** @type {any} */ group) => (view.theme.dark ? group.on_dark : group.colour);
    const hovered = this.column ?? this.columnOf(view.link.hover);
    drawLogo(surface, width, view.theme, this.kit, {
      layout: this.layout(width),
      weights: this.logo.weights,
      stacks: this.logo.stacks,
      letters,
      colours: [...letters].map((a) =>
        colour(groups.find((/** @type {any} */ g) => g.letters.includes(a))),
      ),
      legend: Object.fromEntries(groups.map((/** @type {any} */ g) => [entryOf(g), colour(g)])),
      numbered: (column) => this.numbered(column),
      label: (column) => this.label(column),
      axis: this.aligned
        ? "column of the alignment"
        : `residues from the ${this.logo.basis.brushed ? "brushed " : ""}maximum`,
      caption: captionOf(this.kit, this.logo.basis),
      lacking: lacking(this.logo.basis),
      top: this.top,
      pointed: hovered,
      selected: this.columnOf({
        accession: view.link.get("accession"),
        position: view.link.get("position"),
      }),
      measure: this.measureText,
      words: this.column === null ? [] : this.words(this.column),
    });
  }

  /** For CSV: every letter of every column. */
  rows() {
    const { weights } = this.logo;
    const { letters } = this.tables;
    const rows = Array.from({ length: weights.columns }, (_, column) =>
      [...letters].map((letter, a) => {
        const f = weights.frequencies[column * letters.length + a];
        return [
          this.numbered(column),
          letter,
          f,
          f * weights.information[column],
          weights.n[column],
        ];
      }),
    );
    return [["position", "letter", "frequency", "bits", "n"], ...rows.flat()];
  }
}

/** @param {{ name: string, letters: string }} group */
function entryOf({ name, letters }) {
  return `${name} ${letters}`;
}

export default { initialize: () => ({ render }) };

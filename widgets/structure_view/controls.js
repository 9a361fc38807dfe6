// @ts-check
// The tools of the structure, the words about it, and its buttons.

import { inBrush } from "../kit/colours.js";
import { rangeWords } from "../kit/words.js";
import { ambiguityOf, nameOf, stepFrom, valueAt } from "./paint.js";

/** @import { StructurePanel } from "../structure_view.js" */

const OFFERED = 8;
/** @type {[string, string][]} */
const REPRESENTATIONS = [
  ["sticks", "cartoon, side chains"],
  ["cartoon", "cartoon"],
  ["surface", "surface"],
];

export class Controls {
  /** @param {StructurePanel} panel */
  constructor(panel) {
    this.panel = panel;
    this.kit = panel.kit;
    this.view = panel.view;
    const { model } = this.view;
    const represent = (/** @type {string} */ v) => this.view.keep("representation", v);
    this.representation = this.view.choice(
      "draw",
      REPRESENTATIONS,
      model.get("representation"),
      represent,
    );
    this.threshold = this.number();
    this.other = this.view.choice("superpose", [["", "nothing"]], "", (/** @type {string} */ v) =>
      this.view.keep("other", v),
    );
    const chains = (/** @type {boolean} */ on) => this.view.keep("chains", on);
    this.chains = this.view.toggle(
      "other chains",
      model.get("chains"),
      chains,
      "Other chains of the entry",
    );
    this.view.button("reset", () => panel.scene.reset(), "reset the view: the whole chain");
    if (document.fullscreenEnabled) this.view.button("full screen", () => this.fill());
  }

  /** The threshold's field. */
  number() {
    const { kit, view } = this;
    const input = kit.element("input", { type: "number", min: "0", max: "1", step: "0.05" });
    input.value = String(view.model.get("threshold"));
    input.addEventListener(
      "change",
      () => {
        const value = Number(input.value);
        if (input.value !== "" && value >= 0) this.view.keep("threshold", value);
      },
      { signal: view.signal },
    );
    view.tools.append(
      kit.element("label", {}, [kit.element("span", { text: "threshold" }), input]),
    );
    return input;
  }

  /** The tools follow what is shown. @param {{ accession: string, maximum: number }[]} offers */
  show(offers) {
    const { model } = this.view;
    const { molecule } = this.panel;
    this.representation.value = model.get("representation");
    if (document.activeElement !== this.threshold)
      this.threshold.value = String(model.get("threshold"));
    this.chains.setAttribute("aria-pressed", String(model.get("chains")));
    this.chains.hidden = molecule.alone;
    const other = model.get("other");
    const rest = this.panel.supply.alone
      ? []
      : offers.filter(({ accession }) => accession !== molecule.accession);
    const texts = new Map(
      rest.map(({ accession, maximum }) => [
        accession,
        `${accession} (${this.kit.fixed(maximum)})`,
      ]),
    );
    if (other && !texts.has(other)) texts.set(other, other);
    const options = [["", "nothing"], ...texts].map(([value, text]) =>
      this.kit.element("option", { value, text }),
    );
    this.other.replaceChildren(...options);
    this.other.value = other;
    this.other.parentElement.hidden = options.length < 2;
  }

  /**
   * Buttons to proteins that have a structure.
   * @param {{ accession: string, maximum: number }[]} offers
   */
  offer(offers) {
    const { kit, view, panel } = this;
    const buttons = offers.slice(0, OFFERED).map(({ accession, maximum }) => {
      const hint = `Show ${accession}, activation up to ${kit.fixed(maximum)}`;
      const made = kit.element("button", {
        type: "button",
        text: `${accession} (${kit.fixed(maximum)})`,
        title: hint,
      });
      made.addEventListener("click", () => view.link.set({ accession, position: null }), {
        signal: view.signal,
      });
      return made;
    });
    const more = offers.length - buttons.length;
    const rest = more > 0 ? `, and ${more} more` : "";
    const text = `Shown proteins that have one, with their maximum${rest}:`;
    const words = kit.element("span", { text });
    panel.offers.replaceChildren(...(buttons.length ? [words, ...buttons] : []));
  }

  /** Above and below the picture: what is shown, what is selected. */
  describe() {
    const { view, panel } = this;
    if (!panel.molecule || panel.absent) return;
    const { accession, record } = panel.molecule;
    const name = panel.bundle.proteins[panel.bundle.place(accession)]?.name ?? "";
    const why = view.link.get("accession") ? "" : `, ${this.chosen()}`;
    const called = name && name !== accession ? ` ${this.kit.fitted(name, 320, 12)}` : "";
    const what = `feature ${panel.bundle.feature} on ${accession}${called}`;
    view.subtitle.textContent = `${what}, chain ${record.chain}${why}`;
    const words = [
      this.selected(),
      this.missing(),
      this.counted(),
      ambiguityOf(record),
      this.compared(),
    ];
    view.say(words.filter(Boolean).join(" "));
  }

  selected() {
    const { link } = this.view;
    const position = link.get("position");
    const molecule = this.panel.scene.molecules.find((m) => m?.accession === link.get("accession"));
    if (!molecule || position === null) return "";
    const residue = molecule.places.get(position);
    const value = valueAt(this.panel.valuesOf(molecule.accession), position);
    const whose = this.panel.laid ? `${molecule.accession} ` : "";
    return residue
      ? `Selected: ${whose}${nameOf(residue, value)}.`
      : `Position ${position} is selected; the structure lacks it.`;
  }

  /** Why this protein is shown, where none is selected. */
  chosen() {
    return this.panel.bundle.record.on_structure?.shows_maximum
      ? "the strongest whose structure shows its maximum"
      : "the strongest with a structure";
  }

  /** Where the structure lacks the residue of the protein's maximum: a structure all pale. */
  missing() {
    const { panel, view } = this;
    const { bundle, molecule } = panel;
    const protein = bundle.proteins[bundle.place(molecule.accession)];
    if (!protein?.position || molecule.places.has(protein.position)) return "";
    const residue = `${protein.sequence[protein.position - 1]}${protein.position}`;
    const n = bundle.record.on_structure?.n_read ?? 0;
    const alone = view.link.get("accession") || n < 2;
    return alone
      ? `The structure lacks the residue of the maximum, ${residue}.`
      : `None of ${n} structures shows the residue of its protein's maximum; here ${residue}.`;
  }

  counted() {
    const { panel, view } = this;
    const { molecule } = panel;
    const values = panel.valuesOf(molecule.accession);
    const n = molecule.places.size;
    if (!values) {
      const what = `feature ${panel.bundle.feature} on ${molecule.accession}`;
      return `Activations of ${what} are not in this page.`;
    }
    const brush = view.link.get("brush");
    const inside = [...molecule.places.keys()].filter((position) =>
      inBrush(brush, valueAt(values, position) ?? -1),
    ).length;
    const here = `In the structure: ${n} of ${values.length} residues`;
    if (brush.length)
      return `${here}, ${inside} within the brush ${rangeWords(brush)}; the others are pale.`;
    const strong = panel.strong(molecule).length;
    return `${here}, ${strong} at or above ${view.model.get("threshold")} of the maximum.`;
  }

  compared() {
    const { laid, molecule } = this.panel;
    const other = this.view.model.get("other");
    if (!other || other === molecule.accession) return "";
    const waiting = this.panel.supply.alone
      ? "This page has no kernel to superpose another protein."
      : `Superposing ${other}.`;
    if (!laid) return this.view.model.get("problem") || waiting;
    const { n_aligned, rmsd, tm_score } = laid;
    const { fixed } = this.kit;
    const fit = `${n_aligned} residues, RMSD ${fixed(rmsd)} Å, TM-score ${fixed(tm_score)}`;
    return `Superposed, thin: ${laid.accession}, ${fit}.`;
  }

  /** Select the next strong residue. @param {number} by 1 or -1 */
  step(by) {
    const { panel, view } = this;
    const { accession } = panel.molecule;
    const from = view.link.get("accession") === accession ? view.link.get("position") : null;
    const position = stepFrom(panel.strong(panel.molecule), from, by);
    if (position !== null) view.link.set({ accession, position });
  }

  fill() {
    if (document.fullscreenElement === this.view.root) document.exitFullscreen();
    else this.view.root.requestFullscreen?.();
  }
}

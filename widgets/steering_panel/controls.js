// @ts-check
// What a person sets: features, residues, the change, its strength, what it is compared with.

import { HOW, strengthWords } from "./words.js";
import { numbersOf, written } from "./numbers.js";

/** @import { Kit } from "../kit/types.js" */

/**
 * @typedef {object} Settings as `interplm_nb/widgets/steering/steering_panel.py` takes them
 * @property {string} sequence
 * @property {number[]} features
 * @property {number[]} positions
 * @property {number[]} masks
 * @property {string} how
 * @property {number} strength
 * @property {string} where
 * @property {boolean} keep_error
 * @property {string} control
 * @property {number} seed
 */
/**
 * @typedef {object} On what controls do
 * @property {(part: Partial<Settings>) => void} set
 * @property {(problem: string) => void} refuse
 * @property {() => void} steer
 * @property {() => number | null} position the residue in focus
 * @property {AbortSignal} signal
 * @property {any} about
 */

export class Controls {
  /** @param {Kit} kit @param {On} on */
  constructor(kit, on) {
    this.kit = kit;
    this.on = on;
    const { about, set } = on;
    this.features = this.numbers("Features", "features");
    this.positions = this.numbers("Residues", "positions");
    this.masks = this.numbers("Masked residues", "masks");
    const here = () => set({ positions: [/** @type {number} */ (on.position())] });
    this.here = this.button("", here, "Change this residue alone");
    this.how = this.select("Change", HOW, (how) => set({ how }));
    /** @type {[string, string][]} */
    const places = [
      ["output", "output of the layer"],
      ["recurrence", "inside the recurrence"],
    ];
    this.where = this.select("Where", places, (where) => set({ where }));
    /** @type {[string, string][]} */
    const controls = [
      ["feature", "matched random feature"],
      ["direction", "random direction"],
    ];
    this.control = this.select("Compare with", controls, (control) => set({ control }));
    const another = () => set({ seed: this.seed + 1 });
    this.another = this.button("Another", another, "Draw another control");
    this.seed = 0;
    this.slide();
    this.error = this.box("keep the SAE's error", (keep_error) => set({ keep_error }));
    this.go = this.button("Steer", on.steer, "Run the model with these settings");
    this.go.classList.add("iplm-go");
    const line = (/** @type {Node[]} */ parts) => kit.element("div", { class: "iplm-set" }, parts);
    const slider = kit.element("label", { class: "iplm-slide" }, [
      kit.element("span", { text: "Strength" }),
      this.strength,
      this.amount,
    ]);
    const residues = [this.positions.label, this.here];
    const more = kit.element("details", { class: "iplm-more" }, [
      kit.element("summary", { text: "More" }),
      line([
        ...(about.recurrent ? [this.where.label] : []),
        ...(about.masked ? [this.masks.label] : []),
        this.control.label,
        this.another,
        this.error.label,
      ]),
      this.ownSequence(),
    ]);
    const group = { role: "group", "aria-label": "What is changed" };
    this.root = kit.element("div", group, [
      line([this.features.label, ...residues, this.how.label, slider, this.go, more]),
    ]);
  }

  slide() {
    const { about, set, signal } = this.on;
    const range = { type: "range", min: 0, max: about.strongest, step: 0.05 };
    this.strength = this.kit.element("input", range);
    this.amount = this.kit.element("output", {});
    const moved = () => set({ strength: Number(this.strength.value) });
    this.strength.addEventListener("input", moved, { signal });
  }

  ownSequence() {
    const { set, signal, about } = this.on;
    const plain = { spellcheck: "false", autocapitalize: "characters", autocomplete: "off" };
    this.sequence = this.kit.element("textarea", { rows: 3, ...plain });
    const limit = `at most ${this.kit.count(about.limit)} residues`;
    const words = `Plain or FASTA, ${limit}; empty: the protein in focus`;
    const took = () => set({ sequence: this.sequence.value });
    this.sequence.addEventListener("change", took, { signal });
    return this.kit.element("label", { class: "iplm-own" }, [
      this.kit.element("span", { text: `Your own sequence. ${words}` }),
      this.sequence,
    ]);
  }

  /** @param {string} text @param {"features" | "positions" | "masks"} name */
  numbers(text, name) {
    const { set, refuse, signal } = this.on;
    const input = this.kit.element("input", { type: "text", autocomplete: "off", size: 9 });
    const took = () => {
      const { numbers, problem } = numbersOf(input.value, text.toLowerCase());
      input.setAttribute("aria-invalid", String(problem !== ""));
      if (problem) refuse(problem);
      else set({ [name]: numbers });
    };
    input.addEventListener("change", took, { signal });
    // A notebook captures Enter, and then the input fires no change event.
    const enter = (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && took();
    input.addEventListener("keydown", enter, { signal });
    const label = this.kit.element("label", {}, [this.kit.element("span", { text }), input]);
    return { input, label };
  }

  /** @param {string} text @param {() => void} act @param {string} hint */
  button(text, act, hint) {
    const made = this.kit.element("button", { type: "button", text, title: hint });
    made.addEventListener("click", act, { signal: this.on.signal });
    return made;
  }

  /**
   * @param {string} text @param {[string, string][]} options value and text
   * @param {(value: string) => void} act
   */
  select(text, options, act) {
    const made = options.map(([value, name]) => this.kit.element("option", { value, text: name }));
    const select = this.kit.element("select", {}, made);
    select.addEventListener("change", () => act(select.value), { signal: this.on.signal });
    const label = this.kit.element("label", {}, [this.kit.element("span", { text }), select]);
    return { select, label };
  }

  /** @param {string} text @param {(on: boolean) => void} act */
  box(text, act) {
    const input = this.kit.element("input", { type: "checkbox" });
    input.addEventListener("change", () => act(input.checked), { signal: this.on.signal });
    const label = this.kit.element("label", {}, [input, this.kit.element("span", { text })]);
    return { input, label };
  }

  /**
   * Show the settings. A field that a person is in keeps what is typed.
   * @param {Settings} settings
   * @param {{ able: boolean, feature: number, live: boolean }} state `able`: a model may answer
   */
  update(settings, { able, feature, live }) {
    this.root.hidden = !able;
    const root = /** @type {Document | ShadowRoot} */ (this.root.getRootNode());
    const show = (/** @type {any} */ control, /** @type {any} */ value) => {
      if (root.activeElement !== control) control.value = value;
    };
    show(this.features.input, written(settings.features));
    this.features.input.placeholder = String(feature);
    this.features.input.title = "Numbers of features; empty: the selected one";
    show(this.positions.input, written(settings.positions));
    this.positions.input.placeholder = "all";
    this.positions.input.title = "Residues to change, such as 12-20, 33; empty: all";
    show(this.masks.input, written(settings.masks));
    this.masks.input.placeholder = "none";
    show(this.sequence, settings.sequence);
    this.how.select.value = settings.how;
    this.where.select.value = settings.where;
    this.control.select.value = settings.control;
    this.error.input.checked = settings.keep_error;
    this.seed = settings.seed;
    show(this.strength, String(settings.strength));
    const words = strengthWords(settings.how, settings.strength);
    this.amount.textContent = words;
    this.strength.setAttribute("aria-valuetext", words);
    const position = this.on.position();
    this.here.textContent = position ? `Only ${position}` : "";
    this.here.hidden = position === null;
    this.go.hidden = live;
    this.strength.disabled = settings.how === "ablate";
  }
}

// @ts-check
// The JavaScript half of `StructureView`: what is shown follows the selection; what is pointed at
// and clicked becomes it.

import { Controls } from "./structure_view/controls.js";
import { saveStructure } from "./structure_view/files.js";
import { drawLegend, legendHeight } from "./structure_view/legend.js";
import { nameOf, paintOf, strongOf, valueAt } from "./structure_view/paint.js";
import { followPointer, moveByKeyboard } from "./structure_view/pointer.js";
import { hasWebGl, Scene } from "./structure_view/scene.js";
import { PATIENCE, Supply } from "./structure_view/supply.js";

/** @import { Bundle, Context, Kit, Packed, Surface, View } from "./kit/types.js" */
/** @import { Molecule } from "./structure_view/molecule.js" */
/** @import { Residue } from "./structure_view/paint.js" */
/** @import { Picked } from "./structure_view/scene.js" */
/** @import { Found, Offer } from "./structure_view/supply.js" */

const KEYS =
  "3-D structure. Arrow keys turn it, Shift and arrows move it; plus and minus zoom; n and p " +
  "select the next and previous residue at or above the threshold; r shows the whole; f fills " +
  "the screen. A focused structure zooms with the wheel.";
const SETTINGS = [
  "representation",
  "threshold",
  "chains",
  "other",
  "first_structure",
  "other_structure",
  "problem",
];
/** What a legend may hold: its place stays where entries come and go. */
const ENTRIES = [
  { words: "outside the brush", colour: "" },
  { words: "no UniProt position: activation unknown", colour: "" },
  { words: "other chains of the entry", colour: "" },
];
const SOON = 30; // ms in which words appear

/** @param {Context} context */
async function render(context) {
  /** @type {Kit} */
  const kit = (await context.host.getWidget(context.model.get("kit"))).exports;
  const view = await kit.open(context, { title: "Structure", kind: "structure" });
  const refuse = (/** @type {string} */ text) => {
    view.tools.hidden = true;
    view.body.append(kit.element("p", { class: "iplm-words", "data-kind": "missing", text }));
  };
  if (!hasWebGl()) {
    refuse("This browser has no WebGL, which structures need; figure() draws one in Python.");
    return;
  }
  const NGL = await kit.ngl().catch((/** @type {Error} */ problem) => void refuse(problem.message));
  if (NGL && !view.signal.aborted) new StructurePanel(kit, view, NGL);
}

export class StructurePanel {
  /** @param {Kit} kit @param {View} view @param {any} NGL */
  constructor(kit, view, NGL) {
    this.kit = kit;
    this.view = view;
    this.turn = 0;
    this.absent = false; // there is no structure to show
    this.shown = ["", ""]; // accession of the protein and of the one laid on it
    this.build();
    this.scene = new Scene(NGL, this.box, view.theme.ground);
    this.supply = new Supply(view, kit);
    this.controls = new Controls(this);
    this.plot = view.plot({
      label: "Colour scale of activations",
      focusable: false,
      height: (width, room) => legendHeight(kit, room ? this.entries : ENTRIES, width),
      draw: (/** @type {Surface} */ surface, /** @type {number} */ width) =>
        drawLegend(surface, view, this.entries, width),
    });
    saveStructure(this);
    this.listen();
    this.follow();
  }

  build() {
    const { kit, view } = this;
    this.note = kit.element("p", { class: "iplm-words", hidden: "" });
    this.offers = kit.element("div", { class: "iplm-offers" });
    this.box = kit.element("div", {
      class: "iplm-stage",
      role: "application",
      tabindex: "0",
      "aria-label": KEYS,
    });
    // Over the picture, whose place stays as it is if absent.
    this.over = kit.element("div", { class: "iplm-over" }, [this.note, this.offers]);
    this.frame = kit.element("div", { class: "iplm-scene" }, [this.box, this.over]);
    /** @type {import("./kit/tip.js").Tip} */
    this.tip = view.tip(this.frame);
    view.body.append(this.frame);
  }

  listen() {
    const { view, scene } = this;
    const { signal } = view;
    const follow = () => this.follow();
    view.store.on(follow, signal);
    view.link.on(["accession"], follow, signal);
    view.link.on(["brush"], () => this.recolour(), signal);
    view.link.on(["position"], () => this.markSelected(true), signal);
    view.link.on(["hover"], () => this.markHovered(), signal);
    view.onTheme(() => this.themed());
    view.onModel(SETTINGS, follow);
    scene.stage.viewerControls.signals.changed.add(() => this.placeLabel());
    followPointer(this.box, scene, this, signal);
    this.box.addEventListener("keydown", (/** @type {KeyboardEvent} */ e) => this.keyboard(e), {
      signal,
    });
    const sized = new ResizeObserver(() => scene.resize());
    sized.observe(this.box);
    signal.addEventListener("abort", () => {
      sized.disconnect();
      clearTimeout(this.patience);
      scene.dispose();
    });
  }

  /** The molecule that is shown; null before the first is. @returns {Molecule} */
  get molecule() {
    return /** @type {Molecule} */ (this.scene.molecules[0]);
  }

  /** Null before the first has arrived. @returns {Bundle} */
  get bundle() {
    return /** @type {Bundle} */ (this.view.store.bundle);
  }

  /**
   * Activations of a protein, by position; null where this page does not have them.
   * @type {(accession: string) => Float32Array | null}
   */
  valuesOf = (accession) => {
    const place = this.bundle?.place(accession) ?? -1;
    return place < 0 ? null : this.bundle.values(place);
  };

  /** Show what is selected: read what is not there, keep the picture until it is. */
  async follow() {
    const { view, supply } = this;
    if (!view.store.bundle) return;
    const turn = ++this.turn;
    const wanted = () => turn === this.turn && !view.signal.aborted;
    const other_structure = supply.unpack(view.model.get("other_structure"));
    const [found, offers, other] = await Promise.all([
      supply.find(),
      supply.offers(),
      other_structure,
    ]);
    if (!wanted()) return;
    this.say(found, offers);
    if (!found.packed) return;
    const laid =
      other?.record.on === found.accession && other.record.accession === view.model.get("other")
        ? other
        : null;
    if (!(await this.load(found.packed, laid, wanted))) return;
    if (this.wear() !== this.worn && view.model.get("representation") === "surface") {
      this.note.textContent = "Computing the surface";
      this.note.hidden = false;
      await new Promise((done) => setTimeout(done, SOON)); // the computation blocks
      if (!wanted()) return;
    }
    this.dress(offers);
    this.note.hidden = true;
  }

  /** What the geometry depends on, besides strong residues. */
  wear() {
    const { model, theme } = this.view;
    return JSON.stringify([
      model.get("representation"),
      model.get("chains"),
      theme.dark,
      this.shown,
    ]);
  }

  /**
   * Words instead of the structure, and buttons to proteins that have one.
   * @param {Found} found
   * @param {Offer[]} offers
   */
  say({ accession, packed, words, waiting }, offers) {
    this.note.textContent = words;
    this.note.hidden = !words;
    this.note.dataset.kind = waiting ? "loading" : "empty";
    this.absent = !packed && !(waiting && this.molecule);
    this.view.root.classList.toggle("iplm-absent", this.absent);
    this.controls.offer(packed || waiting ? [] : offers);
    if (this.absent) {
      this.view.subtitle.textContent = "";
      this.view.say("");
    }
    clearTimeout(this.patience);
    const gone = () =>
      this.say({ accession, packed, words: Supply.gone(accession), waiting: false }, offers);
    if (waiting) this.patience = setTimeout(gone, PATIENCE);
  }

  /**
   * @param {Packed} packed
   * @param {Packed | null} laid the second
   * @param {() => boolean} wanted
   */
  async load(packed, laid, wanted) {
    const unknown = parseInt(this.kit.unmapped.slice(1), 16);
    const names = [
      packed.record.accession,
      laid ? `${laid.record.accession} on ${laid.record.on}` : "",
    ];
    for (const [which, bytes] of [packed, laid].entries()) {
      if (this.shown[which] === names[which]) continue;
      if (!(await this.scene.show(which, bytes, unknown, wanted))) return false;
      this.shown[which] = names[which];
      this.worn = "";
      if (which === 0) this.scene.reset();
    }
    this.laid = laid?.record ?? null;
    this.supply.last = packed;
    return true;
  }

  /**
   * Draw what is loaded; from scratch only if representation, proteins or theme differ.
   * @param {Offer[]} offers
   */
  dress(offers) {
    const { model, theme } = this.view;
    const worn = this.wear();
    const representation = model.get("representation");
    const chains = model.get("chains") && !this.laid;
    const muted = theme.dark ? "#8c8c8c" : "#9a9a9a";
    this.scene.molecules.forEach((molecule, which) => {
      if (!molecule) return;
      const strong = this.strong(molecule);
      molecule.paint = this.paint(molecule);
      const dress = {
        representation,
        strong,
        thin: which === 1,
        chains,
        accent: theme.accent,
        muted,
      };
      if (worn !== this.worn) molecule.dress(dress);
      else molecule.restick(strong);
    });
    this.worn = worn;
    this.controls.show(offers);
    this.recolour();
    this.markSelected(false);
    this.markHovered();
  }

  /** @param {Molecule} molecule */
  strong(molecule) {
    return strongOf(
      molecule.residues,
      this.valuesOf(molecule.accession),
      this.view.model.get("threshold"),
    );
  }

  /** @param {Molecule} molecule */
  paint(molecule) {
    const { theme, link } = this.view;
    const [faded, unknown] = [theme.faded, this.kit.unmapped].map((colour) =>
      parseInt(colour.slice(1), 16),
    );
    return paintOf(this.valuesOf(molecule.accession), link.get("brush"), {
      rgb: theme.lut.rgb,
      faded,
      unknown,
    });
  }

  recolour() {
    for (const molecule of this.scene.molecules) molecule?.recolour(this.paint(molecule));
    this.scene.draw();
    this.plot.width && this.plot.redraw();
    this.controls.describe();
  }

  themed() {
    this.scene.ground(this.view.theme.ground);
    this.follow();
  }

  /** @param {Picked | null} picked */
  hovered(picked) {
    const position = picked?.residue?.position;
    this.pointed = picked;
    this.view.link.setHover(position ? { accession: picked.molecule.accession, position } : null);
    if (!position) this.markHovered(); // nothing, or a residue without a position
    this.box.classList.toggle("iplm-pointing", Boolean(position));
  }

  /** @param {Picked | null} picked */
  clicked(picked) {
    const position = picked?.residue?.position;
    if (position) this.view.link.set({ accession: picked.molecule.accession, position });
  }

  /** @param {boolean} bring it to the middle where it is off screen */
  markSelected(bring) {
    const [accession, position] = [this.view.link.get("accession"), this.view.link.get("position")];
    for (const molecule of this.scene.molecules) {
      const here = molecule?.accession === accession ? position : null;
      molecule?.mark("selected", here);
      const residue = here === null ? null : molecule?.places.get(here);
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      if (bring && molecule && residue) this.scene.bring(molecule.pointOf(residue), still);
    }
    this.scene.draw();
    this.controls.describe();
  }

  /** The halo and the label: of what the pointer is on, here or in another view. */
  markHovered() {
    const { hover } = this.view.link;
    /** @type {{ molecule: Molecule, residue?: Residue } | null} */
    this.labelled = null;
    for (const molecule of this.scene.molecules) {
      const here = hover && hover.accession === molecule?.accession ? hover.position : null;
      molecule?.mark("hovered", here);
      const residue = here === null ? null : molecule?.places.get(here);
      if (molecule && residue) this.labelled = { molecule, residue };
    }
    // a residue without a position
    if (!this.labelled && this.pointed?.residue) this.labelled = this.pointed;
    this.scene.draw();
    this.placeLabel();
  }

  placeLabel() {
    const { molecule, residue } = this.labelled ?? {};
    if (!molecule || !residue) return this.tip.hide();
    const whose = this.laid ? `${molecule.accession} ` : "";
    const name =
      whose + nameOf(residue, valueAt(this.valuesOf(molecule.accession), residue.position));
    this.tip.show([name], this.scene.at(molecule.pointOf(residue)));
  }

  /** @param {KeyboardEvent} event */
  keyboard(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.molecule) return;
    if (event.key === "n" || event.key === "p") this.controls.step(event.key === "n" ? 1 : -1);
    else if (event.key === "f") this.controls.fill();
    else if (!moveByKeyboard(event, this.scene)) return;
    event.preventDefault();
  }

  /**
   * What the colours mean, next to the scale.
   * @returns {import("./structure_view/legend.js").Entry[]}
   */
  get entries() {
    const { view, molecule } = this;
    const entries = [];
    if (view.link.get("brush").length)
      entries.push({ words: "outside the brush", colour: view.theme.faded });
    const unmapped = this.scene.molecules.some((m) =>
      m?.residues.some(({ position }) => !position),
    );
    if (unmapped)
      entries.push({ words: "no UniProt position: activation unknown", colour: this.kit.unmapped });
    const others = molecule && !molecule.alone && view.model.get("chains");
    if (this.laid)
      entries.push({
        words: `thin: ${this.laid.accession}`,
        colour: view.theme.lut.css[150],
        thin: true,
      });
    else if (others)
      entries.push({ words: "other chains of the entry", colour: "#949494", thin: true });
    return entries;
  }
}

export default { initialize: () => ({ render }) };

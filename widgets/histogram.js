// @ts-check
// The JavaScript half of `ActivationHistogram`.

import { conceptName } from "./kit/concept_names.js";
import { brushWords, edgesOf, rowsOf, sum } from "./histogram/counts.js";

/** @import { Bundle, Context, Kit, Surface, TextStyle, View } from "./kit/types.js" */

const MARGIN = { left: 52, right: 10, top: 20, bottom: 40 };
const STEP = 0.02; // of the axis, for the arrow keys
const SETTINGS = ["unit", "scale", "share"];
const NARROW = 420; // points, below which axes say less
const HEIGHT = 190; // of the picture
const LOWEST = 120; // where the workbench gives less

/** @param {Context} context */
async function render(context) {
  /** @type {Kit} */
  const kit = (await context.host.getWidget(context.model.get("kit"))).exports;
  const view = await kit.open(context, { title: "Activations", kind: "histogram" });
  new Histogram(kit, view);
}

/** One histogram on the page; the brush is drawn above bars that never move with it. */
class Histogram {
  /** @param {Kit} kit @param {View} view */
  constructor(kit, view) {
    this.kit = kit;
    this.view = view;
    /** @type {number | null} where a drag began, as an activation */
    this.from = null;
    this.controls();
    const label =
      "Activation histogram. Arrow keys move the brush, Shift and arrows its upper end; " +
      "Escape clears it.";
    const draw = (
      /** @type {Surface} */ surface,
      /** @type {number} */ w,
      /** @type {number} */ h,
    ) => this.draw(surface, w, h);
    const height = (/** @type {number} */ _, /** @type {number} */ room) =>
      room ? Math.max(LOWEST, room) : HEIGHT;
    this.plot = view.plot({ label, height, role: "application", draw });
    view.saves({ plot: this.plot, csv: () => rowsOf(this.edges, this.counts) });
    this.listen();
    this.changed();
  }

  controls() {
    const { view } = this;
    const { model } = view;
    /** @type {[string, string][]} */
    const units = [
      ["residues", "residues"],
      ["proteins", "proteins, by maximum"],
    ];
    this.unit = view.choice("count", units, model.get("unit"), (/** @type {string} */ v) =>
      view.keep("unit", v),
    );
    const scale = (/** @type {boolean} */ on) => view.keep("scale", on ? "log" : "linear");
    this.log = view.toggle("log", model.get("scale") === "log", scale, "Counts on a log scale");
    const share = (/** @type {boolean} */ on) => view.keep("share", on);
    this.share = view.toggle(
      "share",
      model.get("share"),
      share,
      "The share of all instead of counts",
    );
  }

  listen() {
    const { view } = this;
    const changed = () => this.changed();
    view.store.on(changed, view.signal);
    view.link.on(["brush"], changed, view.signal);
    view.link.on(["hover", "accession", "position"], () => this.plot.redraw(), view.signal);
    view.onModel(SETTINGS, changed);
    const { canvas } = this.plot;
    const options = { signal: view.signal };
    canvas.addEventListener(
      "pointerdown",
      (/** @type {PointerEvent} */ e) => this.down(e),
      options,
    );
    canvas.addEventListener(
      "pointermove",
      (/** @type {PointerEvent} */ e) => this.move(e),
      options,
    );
    for (const end of ["pointerup", "pointercancel"])
      canvas.addEventListener(end, () => (this.from = null), options);
    canvas.addEventListener("dblclick", () => view.link.set({ brush: [] }), options);
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

  changed() {
    this.plot.redraw();
    this.describe();
  }

  get counts() {
    const unit = /** @type {"residues" | "proteins"} */ (this.view.model.get("unit"));
    return this.bundle.counts[unit];
  }

  get edges() {
    return edgesOf(this.bundle.top, this.bundle.counts.residues.total.length);
  }

  describe() {
    if (!this.bundle) return;
    const { kit, view } = this;
    const { model } = view;
    this.unit.value = model.get("unit");
    this.log.setAttribute("aria-pressed", String(model.get("scale") === "log"));
    this.share.setAttribute("aria-pressed", String(model.get("share")));
    const { total, zero } = this.counts;
    const unit = model.get("unit");
    const said = `${kit.count(sum(total))} ${unit} active, ${kit.count(zero.total)} silent`;
    view.subtitle.textContent = `feature ${this.bundle.feature}: ${said}`;
    const what = unit === "residues" ? "active residues" : "proteins, by their maximum";
    const brush = view.link.get("brush");
    const { best } = this.bundle.record;
    const concept = best ? conceptName(best.concept, best.category) : "";
    const words = brushWords(kit, this.edges, this.counts, { brush, what, concept });
    view.say(brush.length || !sum(total) ? words : `${words} Drag to brush.`);
  }

  /** @param {Surface} surface @param {number} width @param {number} height */
  draw(surface, width, height) {
    if (!this.bundle) return;
    const { view } = this;
    const x = (/** @type {number} */ value) =>
      MARGIN.left + (value / this.bundle.top) * (width - MARGIN.left - MARGIN.right);
    this.axes(surface, x, width, height);
    const { total, annotated } = this.counts;
    this.bars(
      surface,
      x,
      height,
      total,
      annotated ? view.theme.muted : view.theme.bar,
      annotated ? 0.55 : 1,
    );
    if (annotated) this.bars(surface, x, height, annotated, view.theme.bar, 1);
    this.legend(surface, annotated, width);
    this.brush(surface, x, height);
    this.residues(surface, x, height);
  }

  /** The height of a count, 0 to 1. @param {number} n */
  level(n) {
    const most = Math.max(1, ...Array.from(this.counts.total));
    if (this.view.model.get("scale") === "linear") return n / most;
    // a single one is still seen
    return n > 0 ? (Math.log10(n) + 0.3) / (Math.log10(most) + 0.3) : 0;
  }

  /**
   * @param {Surface} surface @param {(v: number) => number} x @param {number} height
   * @param {ArrayLike<number>} counts @param {string} fill @param {number} opacity
   */
  bars(surface, x, height, counts, fill, opacity) {
    const { edges } = this.bundle;
    const room = height - MARGIN.top - MARGIN.bottom;
    for (let i = 0; i < counts.length; i++) {
      const h = this.level(counts[i]) * room;
      const [left, wide] = [x(edges[i]) + 0.5, Math.max(1, x(edges[i + 1]) - x(edges[i]) - 1)];
      if (h > 0) surface.rect(left, height - MARGIN.bottom - h, wide, h, fill, opacity);
    }
  }

  /**
   * @param {Surface} surface
   * @param {(v: number) => number} x
   * @param {number} width
   * @param {number} height
   */
  axes(surface, x, width, height) {
    const { kit, view } = this;
    const { text, muted, line } = view.theme;
    const base = height - MARGIN.bottom;
    const total = sum(this.counts.total) || 1;
    const most = Math.max(1, ...Array.from(this.counts.total));
    const log = view.model.get("scale") === "log";
    const marks = log
      ? kit.decades(most).filter((/** @type {number} */ n) => n <= most)
      : kit.ticks(0, most, 4);
    for (const n of marks) {
      const y = base - this.level(n) * (base - MARGIN.top);
      surface.line(MARGIN.left, y, width - MARGIN.right, y, line, 0.5);
      const said = view.model.get("share") ? kit.percent(n / total) : kit.short(n);
      surface.text(MARGIN.left - 5, y, said, { fill: muted, size: 10, align: "right" });
    }
    surface.line(MARGIN.left, base, width - MARGIN.right, base, muted, 1);
    /** @type {TextStyle} */
    const centred = { fill: muted, size: 10, align: "center" };
    for (const value of kit.ticks(0, this.bundle.top, 5))
      surface.text(x(value), base + 10, String(value), centred);
    const what = view.model.get("unit") === "residues" ? "activation" : "maximum of a protein";
    const unit =
      width < NARROW ? "× maximum on training" : "share of the maximum on training proteins";
    /** @type {TextStyle} */
    const style = { fill: text, size: 10.5, align: "center" };
    surface.text((MARGIN.left + width - MARGIN.right) / 2, height - 10, `${what} (${unit})`, style);
    surface.text(10, (MARGIN.top + base) / 2, view.model.get("unit"), {
      fill: text,
      size: 10.5,
      align: "center",
      turn: -90,
    });
  }

  /**
   * What the two colours are.
   * @param {Surface} surface
   * @param {ArrayLike<number> | null} annotated
   * @param {number} width
   */
  legend(surface, annotated, width) {
    if (!annotated) return;
    const { theme } = this.view;
    const { concept, category } = this.bundle.record.best;
    surface.rect(MARGIN.left + 4, 5, 9, 9, theme.muted, 0.55);
    surface.text(MARGIN.left + 17, 9.5, "all", { fill: theme.text, size: 10.5 });
    surface.rect(MARGIN.left + 40, 5, 9, 9, theme.bar);
    const name = `with ${conceptName(concept, category)}`;
    const said = this.view.kit.fitted(name, width - MARGIN.left - 60, 10.5);
    surface.text(MARGIN.left + 53, 9.5, said, { fill: theme.text, size: 10.5 });
  }

  /** @param {Surface} surface @param {(v: number) => number} x @param {number} height */
  brush(surface, x, height) {
    const brush = this.view.link.get("brush");
    if (brush.length === 0) return;
    const [from, to] = [
      x(Math.min(brush[0], this.bundle.top)),
      x(Math.min(brush[1], this.bundle.top)),
    ];
    const { accent } = this.view.theme;
    surface.rect(
      from,
      MARGIN.top,
      Math.max(1, to - from),
      height - MARGIN.top - MARGIN.bottom,
      accent,
      0.18,
    );
    for (const at of [from, to])
      surface.line(at, MARGIN.top, at, height - MARGIN.bottom, accent, 1.5);
  }

  /**
   * Where the selected and the hovered residue are on the axis.
   * @param {Surface} surface @param {(v: number) => number} x @param {number} height
   */
  residues(surface, x, height) {
    const { link, theme } = this.view;
    const selected = { accession: link.get("accession"), position: link.get("position") };
    for (const [residue, colour] of /** @type {[any, string][]} */ ([
      [selected, theme.accent],
      [link.hover, theme.text],
    ])) {
      const place = residue?.position ? this.bundle.place(residue.accession) : -1;
      const value = place < 0 ? undefined : this.bundle.values(place)[residue.position - 1];
      if (value === undefined) continue;
      const [at, base] = [x(value), height - MARGIN.bottom];
      surface.path(
        [
          [at, base - 9],
          [at - 5, base],
          [at + 5, base],
        ],
        theme.ground,
        1,
        colour,
      );
    }
  }

  /** The activation under the pointer. @param {PointerEvent} event */
  value(event) {
    const share =
      (this.plot.at(event).x - MARGIN.left) / (this.plot.width - MARGIN.left - MARGIN.right);
    return this.rounded(share * this.bundle.top);
  }

  /**
   * An activation on the axis; its end is exact, or the maximum would be outside.
   * @param {number} value
   */
  rounded(value) {
    const { top } = this.bundle;
    return value >= top ? top : Number(Math.max(0, value).toFixed(4));
  }

  /** @param {PointerEvent} event */
  down(event) {
    if (!this.bundle || event.button !== 0) return;
    this.plot.canvas.setPointerCapture(event.pointerId);
    this.from = this.value(event);
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (this.from === null) return;
    const to = this.value(event);
    this.view.link.set({ brush: [Math.min(this.from, to), Math.max(this.from, to)] });
  }

  /** @param {KeyboardEvent} event */
  keyboard(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || !this.bundle) return;
    event.preventDefault();
    const { top } = this.bundle;
    const [lo, hi] = this.view.link.get("brush").length
      ? this.view.link.get("brush")
      : [this.rounded(0.5 * top), top];
    const moved = (/** @type {number} */ v) => this.rounded(v + by * STEP * top);
    this.view.link.set({
      brush: event.shiftKey ? [lo, Math.max(lo, moved(hi))] : [Math.min(hi, moved(lo)), hi],
    });
  }
}

export default { initialize: () => ({ render }) };

// @ts-check
// The JavaScript half of `ActivationHistogram`.

const MARGIN = { left: 52, right: 10, top: 20, bottom: 40 };
const STEP = 0.02; // of the axis, for the arrow keys

/** @param {any} context */
async function render(context) {
  const kit = (await context.host.getWidget(context.model.get("kit"))).exports;
  const view = await kit.open(context, { title: "Activations", kind: "histogram" });
  new Histogram(kit, view);
}

/** One histogram on the page; the brush is drawn above bars that never move with it. */
class Histogram {
  /** @param {any} kit @param {any} view */
  constructor(kit, view) {
    this.kit = kit;
    this.view = view;
    /** @type {number | null} where a drag began, as an activation */
    this.from = null;
    this.controls();
    const label = "Activation histogram. Arrow keys move the brush, with Shift its upper end; Escape clears it.";
    this.plot = view.plot({ label, height: 190, role: "application", draw: (/** @type {any[]} */ ...a) => this.draw(...a) });
    view.saves({ plot: this.plot, csv: () => this.rows() });
    this.listen();
    view.store.on(() => this.changed(), view.signal);
    view.link.on(["brush"], () => this.changed(), view.signal);
    this.changed();
  }

  controls() {
    const { view } = this;
    const set = (/** @type {string} */ name, /** @type {any} */ value) => {
      view.model.set(name, value);
      view.model.save_changes();
      this.changed();
    };
    view.choice("count", [["residues", "residues"], ["proteins", "proteins, by maximum"]], view.model.get("unit"),
      (/** @type {string} */ v) => set("unit", v));
    view.toggle("log", view.model.get("scale") === "log", (/** @type {boolean} */ on) => set("scale", on ? "log" : "linear"), "Logarithmic counts");
    view.toggle("share", view.model.get("share"), (/** @type {boolean} */ on) => set("share", on), "Shares in place of counts");
  }

  listen() {
    const { canvas } = this.plot;
    const options = { signal: this.view.signal };
    canvas.addEventListener("pointerdown", (/** @type {PointerEvent} */ e) => this.down(e), options);
    canvas.addEventListener("pointermove", (/** @type {PointerEvent} */ e) => this.move(e), options);
    canvas.addEventListener("pointerup", () => (this.from = null), options);
    canvas.addEventListener("dblclick", () => this.view.link.set({ brush: [] }), options);
    canvas.addEventListener("keydown", (/** @type {KeyboardEvent} */ e) => this.key(e), options);
  }

  /** @returns {any} */
  get bundle() {
    return this.view.store.bundle;
  }

  changed() {
    this.plot.redraw();
    this.describe();
  }

  /** @returns {{ total: ArrayLike<number>, annotated: ArrayLike<number> | null, zero: any }} */
  get counts() {
    return this.bundle.counts[this.view.model.get("unit")];
  }

  /** Sum of the bins that a range covers, at least in part. @param {ArrayLike<number>} bins @param {number[]} brush */
  within(bins, brush) {
    const { edges } = this.bundle;
    return Array.from(bins).reduce((sum, n, i) => sum + (edges[i + 1] >= brush[0] && edges[i] <= brush[1] ? n : 0), 0);
  }

  describe() {
    if (!this.bundle) return;
    const { kit, view } = this;
    const unit = view.model.get("unit");
    const { total, zero } = this.counts;
    const active = Array.from(total).reduce((a, b) => a + b, 0);
    const brush = view.link.get("brush");
    view.subtitle.textContent = `feature ${this.bundle.feature}: ${kit.count(active)} ${unit} active, ${kit.count(zero.total)} silent`;
    view.say(brush.length
      ? `Brushed ${kit.fixed(brush[0])} to ${kit.fixed(brush[1])}: bins of ${kit.count(this.within(total, brush))} of ${kit.count(active)} active ${unit}`
      : `All ${kit.count(active)} active ${unit}; drag to brush a range`);
  }

  /** @param {any} surface @param {number} width @param {number} height */
  draw(surface, width, height) {
    if (!this.bundle) return;
    const { view } = this;
    const x = (/** @type {number} */ value) => MARGIN.left + (value / this.bundle.top) * (width - MARGIN.left - MARGIN.right);
    this.axes(surface, x, width, height);
    const { total, annotated } = this.counts;
    this.bars(surface, x, height, total, annotated ? view.theme.muted : view.theme.bar, annotated ? 0.55 : 1);
    if (annotated) this.bars(surface, x, height, annotated, view.theme.bar, 1);
    this.legend(surface, annotated, width);
    this.brush(surface, x, height);
  }

  /** The height of a count, 0 to 1. @param {number} n */
  level(n) {
    const most = Math.max(1, ...Array.from(this.counts.total));
    if (this.view.model.get("scale") === "linear") return n / most;
    return n > 0 ? (Math.log10(n) + 0.3) / (Math.log10(most) + 0.3) : 0; // a single one is still seen
  }

  /** @param {any} surface @param {(v: number) => number} x @param {number} height @param {ArrayLike<number>} counts @param {string} fill @param {number} opacity */
  bars(surface, x, height, counts, fill, opacity) {
    const { edges } = this.bundle;
    const room = height - MARGIN.top - MARGIN.bottom;
    for (let i = 0; i < counts.length; i++) {
      const h = this.level(counts[i]) * room;
      if (h > 0) surface.rect(x(edges[i]) + 0.5, height - MARGIN.bottom - h, Math.max(1, x(edges[i + 1]) - x(edges[i]) - 1), h, fill, opacity);
    }
  }

  /** @param {any} surface @param {(v: number) => number} x @param {number} width @param {number} height */
  axes(surface, x, width, height) {
    const { kit, view } = this;
    const { text, muted, line } = view.theme;
    const base = height - MARGIN.bottom;
    const total = Array.from(this.counts.total).reduce((a, b) => a + b, 0) || 1;
    const most = Math.max(1, ...Array.from(this.counts.total));
    const marks = view.model.get("scale") === "log" ? kit.decades(most).filter((/** @type {number} */ n) => n <= most) : kit.ticks(0, most, 4);
    for (const n of marks) {
      const y = base - this.level(n) * (base - MARGIN.top);
      surface.line(MARGIN.left, y, width - MARGIN.right, y, line, 0.5);
      const said = view.model.get("share") ? kit.percent(n / total) : kit.short(n);
      surface.text(MARGIN.left - 5, y, said, { fill: muted, size: 10, align: "right" });
    }
    surface.line(MARGIN.left, base, width - MARGIN.right, base, muted, 1);
    for (const value of kit.ticks(0, this.bundle.top, 5)) surface.text(x(value), base + 10, String(value), { fill: muted, size: 10, align: "center" });
    surface.text((MARGIN.left + width - MARGIN.right) / 2, height - 10, "activation (share of the maximum on training proteins)",
      { fill: text, size: 10.5, align: "center" });
    surface.text(10, (MARGIN.top + base) / 2, view.model.get("unit"), { fill: text, size: 10.5, align: "center", turn: -90 });
  }

  /** What the two colours are. @param {any} surface @param {ArrayLike<number> | null} annotated @param {number} width */
  legend(surface, annotated, width) {
    if (!annotated) return;
    const { theme } = this.view;
    const name = this.bundle.record.best.concept;
    const room = Math.floor((width - MARGIN.left - 110) / 6);
    const short = name.length > room ? `${name.slice(0, Math.max(1, room - 1))}…` : name;
    surface.rect(MARGIN.left + 4, 5, 9, 9, theme.muted, 0.55);
    surface.text(MARGIN.left + 17, 9.5, "all", { fill: theme.text, size: 10.5 });
    surface.rect(MARGIN.left + 40, 5, 9, 9, theme.bar);
    surface.text(MARGIN.left + 53, 9.5, `with ${short}`, { fill: theme.text, size: 10.5 });
  }

  /** @param {any} surface @param {(v: number) => number} x @param {number} height */
  brush(surface, x, height) {
    const brush = this.view.link.get("brush");
    if (brush.length === 0) return;
    const [from, to] = [x(Math.min(brush[0], this.bundle.top)), x(Math.min(brush[1], this.bundle.top))];
    const { accent } = this.view.theme;
    surface.rect(from, MARGIN.top, Math.max(1, to - from), height - MARGIN.top - MARGIN.bottom, accent, 0.18);
    for (const at of [from, to]) surface.line(at, MARGIN.top, at, height - MARGIN.bottom, accent, 1.5);
  }

  /** The activation under the pointer. @param {PointerEvent} event */
  value(event) {
    const share = (this.plot.at(event).x - MARGIN.left) / (this.plot.width - MARGIN.left - MARGIN.right);
    return Number((Math.max(0, Math.min(1, share)) * this.bundle.top).toFixed(4));
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
  key(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || !this.bundle) return;
    event.preventDefault();
    const { top } = this.bundle;
    const [lo, hi] = this.view.link.get("brush").length ? this.view.link.get("brush") : [0.5 * top, top];
    const moved = (/** @type {number} */ v) => Number(Math.max(0, Math.min(top, v + by * STEP * top)).toFixed(4));
    this.view.link.set({ brush: event.shiftKey ? [lo, Math.max(lo, moved(hi))] : [Math.min(hi, moved(lo)), hi] });
  }
}

export default { render };

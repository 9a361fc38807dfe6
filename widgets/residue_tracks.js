// @ts-check
// The JavaScript half of `ResidueTracks`.

import { activeWithin } from "./residue_tracks/cells.js";
import { hit, reveal, selectedRow } from "./residue_tracks/cursor.js";
import { drawTracks } from "./residue_tracks/draw.js";
import { listen, ZOOM } from "./residue_tracks/input.js";
import { explained, legendHeight, legendLines } from "./residue_tracks/legend.js";
import { chips, labelLines } from "./residue_tracks/label.js";
import {
  Axis,
  extent,
  firstSeen,
  geometry,
  LETTER,
  orderedBy,
  shiftOf,
} from "./residue_tracks/layout.js";
import {
  brushedWords,
  selectedWords,
  shownWords,
  spansOf,
  tableOf,
} from "./residue_tracks/words.js";

/** @import { Bundle, Context, Kit, Surface, View } from "./kit/types.js" */

/** @type {[string, string][]} */
const ORDERS = [
  ["maximum", "maximum"],
  ["mean", "mean"],
  ["position", "position of maximum"],
  ["aligned", "aligned on maximum"],
];
const LOWEST = 110; // points of the picture, where a workbench gives less
const AROUND = 45; // residues on either side of the maximum when rows become aligned
const FEW = 5; // chosen proteins that are shown as letters
const LABEL =
  "Activations along proteins, one row each. Up and Down choose a protein, Left and Right " +
  "a residue, Enter the maximum, Home and End the ends; plus and minus zoom, 0 shows whole " +
  "sequences, L letters, Shift with Left or Right pans; Escape clears.";
const HINT = "Click a residue to select it.";
const SHARED = "A cell shows the strongest of the residues that share it; zoom in to see each.";
const LONGER = "Longer proteins go on to the right: 0 shows them whole.";
const NONE = "This feature fires on none of the run's proteins.";
const SILENT =
  "This feature fires on no training protein, so its activations on others count as 0.";

/** @param {Context} context */
async function render(context) {
  /** @type {Kit} */
  const kit = (await context.host.getWidget(context.model.get("kit"))).exports;
  const view = await kit.open(context, { title: "Residue tracks", kind: "tracks" });
  new Tracks(kit, view).follow();
}

/** The proteins of the bundle, one per row. */
export class Tracks {
  /** @param {Kit} kit @param {View} view */
  constructor(kit, view) {
    this.kit = kit;
    this.view = view;
    /** @type {Bundle} the bundle that is drawn; null before the first */
    this.bundle = /** @type {any} */ (null);
    /** @type {import("./residue_tracks/layout.js").Row[]} */
    this.rows = [];
    /** @type {number[]} proteins that the brush chooses among, by their numbers in the bundle */
    this.among = [];
    /** @type {number[]} pinned features, by their numbers in the bundle */
    this.strips = [];
    /** @type {Map<number, import("./residue_tracks/words.js").Spans>} */
    this.spans = new Map();
    /** @type {Map<number, number>} active residues in the brush, by protein */
    this.within = new Map();
    /** @type {import("./residue_tracks/legend.js").Item[]} */
    this.items = [];
    /** @type {import("./residue_tracks/legend.js").Placed[][]} */
    this.legend = [];
    this.scroll = 0;
    this.axis = new Axis();
    this.laid = this.high = 0; // for which width and height; 0: sizes must be measured
    this.arriving = false; // the selected residue is to be brought into view
    this.around = false; // so are the surroundings of the maxima
    this.lettered = false; // so are letters
    this.fair = false; // or the length that most proteins have
    this.chosen = ""; // proteins
    this.names = 0; // width of the widest accession
    this.geometry = geometry(600, 300, { pinned: 0, legend: 0, bar: 0 });
    this.controls();
    this.chips = kit.element("div", {
      class: "iplm-chips",
      role: "group",
      "aria-label": "Added to the tracks",
      hidden: "",
    });
    const draw = (/** @type {Surface} */ surface, /** @type {number} */ width) =>
      this.draw(surface, width);
    this.plot = view.plot({
      label: LABEL,
      height: () => this.height,
      role: "application",
      draw,
    });
    // as tall as all rows; the canvas stays in sight
    this.inner = kit.element("div", {}, [this.plot.canvas]);
    this.scroller = kit.element("div", { class: "iplm-scroller" }, [this.inner]);
    view.body.append(this.scroller);
    view.body.before(this.chips);
    this.tip = view.tip();
    const places = () => this.rows.map(({ place }) => place);
    view.saves({
      plot: this.plot,
      csv: () => tableOf(this.bundle, places(), this.brush, this.strips),
    });
  }

  controls() {
    const { view } = this;
    this.choice = view.choice("rows by", ORDERS, this.order, (/** @type {string} */ order) =>
      view.keep("order", order),
    );
    view.button("−", () => this.zoom(1 / ZOOM), "Zoom out");
    view.button("+", () => this.zoom(ZOOM), "Zoom in");
    view.button("whole", () => this.whole(), "Whole sequences");
    const hint = "Letters, around the selected residue or the first protein's maximum";
    view.button("letters", () => this.letters(), hint);
  }

  follow() {
    const { view } = this;
    listen(this);
    view.store.on(() => this.renewed(), view.signal);
    view.onTheme(() => (this.laid = 0));
    view.link.on(["pinned", "accessions"], () => this.renewed(), view.signal);
    view.link.on(["brush"], () => this.changed(), view.signal);
    view.link.on(["accession", "position"], () => this.changed(true), view.signal);
    view.link.on(["hover"], () => this.plot.redraw(), view.signal);
    view.onModel(["order"], () => this.reordered());
    view.onModel(["height"], () => this.renewed());
    this.renewed();
  }

  /** Of the picture, in points. */
  get height() {
    const { room } = this.plot;
    return room ? Math.max(LOWEST, room) : this.view.model.get("height");
  }

  /** @returns {string} */
  get order() {
    return this.view.model.get("order");
  }

  /** @returns {number[]} */
  get brush() {
    return this.view.link.get("brush");
  }

  /** Other data, features, proteins or sizes. */
  renewed() {
    const { kit, view, bundle: before } = this;
    const { bundle } = view.store;
    if (!bundle) return;
    this.bundle = bundle;
    this.laid = 0;
    const pinned = view.link.get("pinned");
    const chosen = view.link.get("accessions").join();
    chips(kit, view.link, bundle, this.chips, this.plot.canvas);
    const which = (/** @type {any} */ p, /** @type {number} */ i) =>
      pinned.includes(p.feature) ? [i + 1] : [];
    this.strips = bundle.record.pinned.flatMap(which);
    if (bundle !== before) {
      const best = bundle.record.best?.concept ?? "";
      this.spans = new Map(
        [...bundle.proteins.entries()].map(([i, protein]) => [i, spansOf(protein, best)]),
      );
      this.items = explained(bundle, this.spans, view.store.about.categories);
    }
    if (bundle.feature !== before?.feature || chosen !== this.chosen) this.home();
    this.chosen = chosen;
    this.changed(bundle !== before);
  }

  /**
   * Back to the first row and to whole sequences, to letters where few proteins are chosen, or to
   * the surroundings of the maxima.
   */
  home() {
    const { length } = this.view.link.get("accessions");
    this.scroller.scrollTop = this.scroll = 0;
    this.axis.fitted = true;
    // as soon as the width is known
    this.around = this.order === "aligned";
    this.lettered = !this.around && length > 0 && length <= FEW;
    this.fair = !this.around && !this.lettered;
  }

  reordered() {
    this.choice.value = this.order;
    this.home();
    this.laid = 0;
    this.changed(true);
  }

  /**
   * Other rows, by brush or selection.
   * @param {boolean} [moved] another residue is selected, or where it is
   */
  changed(moved = false) {
    if (!this.bundle) return;
    this.arrange();
    if (moved) this.arriving = true;
    this.lay();
    this.describe();
    this.plot.redraw();
  }

  /** Which proteins are rows, and in which order; the selected one always stays. */
  arrange() {
    const { bundle, brush, order, view } = this;
    const chosen = new Set(view.link.get("accessions"));
    const selected = bundle.place(view.link.get("accession"));
    this.among = orderedBy(bundle.proteins, order).filter(
      (i) => !chosen.size || chosen.has(bundle.proteins[i].accession),
    );
    this.within = new Map(this.among.map((i) => [i, activeWithin(bundle, i, brush)]));
    const kept = this.among.filter((i) => i === selected || !brush.length || this.within.get(i));
    this.rows = kept.map((place) => ({ place, shift: shiftOf(bundle.proteins[place], order) }));
    this.scroller.hidden = this.among.length === 0;
  }

  /** Sizes, and the selected residue brought into view, once the width is known. */
  lay() {
    const { plot, height } = this;
    if (!plot.width) return;
    const centred = this.around || this.lettered;
    if (this.laid !== plot.width || this.high !== height) this.measure(height);
    const { row, top, bottom } = this.geometry;
    this.inner.style.height = `${this.rows.length * row + height - (bottom - top)}px`;
    this.scroll = Math.max(0, Math.min(this.scroll, this.rows.length * row - (bottom - top)));
    if (this.arriving) reveal(this, !centred);
    this.arriving = false;
  }

  /**
   * Columns depend on all proteins, so that the brush never moves them.
   * @param {number} height
   */
  measure(height) {
    const { kit, plot, scroller } = this;
    this.scroller.style.height = `${height}px`;
    const colour = (/** @type {string} */ category) => this.colour(category);
    this.legend = legendLines(kit, this.items, colour, plot.width, height);
    const taken = {
      pinned: this.strips.length,
      legend: legendHeight(this.legend),
      bar: scroller.offsetWidth - scroller.clientWidth,
    };
    this.geometry = geometry(plot.width, height, taken);
    const proteins = this.among.map((i) => this.bundle.proteins[i]);
    this.axis.cover(...extent(proteins, this.order), this.geometry.width);
    if (this.around) this.axis.show(-AROUND, AROUND + 1);
    else if (this.lettered) this.spell();
    else if (this.fair && firstSeen(proteins) < this.axis.high)
      this.axis.show(0, firstSeen(proteins));
    this.around = this.lettered = this.fair = false;
    this.names = Math.max(0, ...proteins.map(({ accession }) => kit.widthOf(accession, 11, 700)));
    [this.laid, this.high] = [plot.width, height];
  }

  /** @param {string} category */
  colour(category) {
    const { theme, store } = this.view;
    return store.about.categories[category] ?? theme.muted;
  }

  describe() {
    const { kit, view, bundle, among, brush, within } = this;
    const shown = among.filter((i) => within.get(i)).length;
    const chosen = view.link.get("accessions").length > 0;
    view.subtitle.textContent = shownWords(bundle, {
      shown,
      among,
      chosen,
      brush,
      count: kit.count,
    });
    const words = [this.selectedWords()];
    if (brush.length) {
      const sum = (/** @type {(i: number) => number} */ of) =>
        among.reduce((total, i) => total + of(i), 0);
      words.push(
        brushedWords(
          sum((i) => within.get(i) ?? 0),
          sum((i) => activeWithin(bundle, i, [])),
          brush,
          kit.count,
        ),
      );
    }
    view.say(words.filter(Boolean).join(" ") || (this.rows.length ? this.hint() : ""));
    if (view.store.state !== "ready") return;
    view.tell(bundle.record.n_firing ? "" : bundle.record.silent ? SILENT : NONE);
  }

  hint() {
    const { fitted, scale } = this.axis;
    return scale >= 1 ? HINT : fitted ? SHARED : `${SHARED} ${LONGER}`;
  }

  selectedWords() {
    const { bundle, brush, rows, view, within } = this;
    const row = selectedRow(this);
    const place = row < 0 ? -1 : rows[row].place;
    const outside = brush.length > 0 && !within.get(place);
    return selectedWords(
      bundle,
      place,
      view.link.get("accession"),
      view.link.get("position"),
      outside,
    );
  }

  /** @param {Surface} surface @param {number} width */
  draw(surface, width) {
    if (!this.bundle) return;
    if (this.laid !== width || this.high !== this.height) {
      this.lay();
      this.describe();
    }
    const {
      kit,
      view,
      bundle,
      geometry: g,
      names,
      axis,
      rows,
      scroll,
      strips,
      brush,
      spans,
      legend,
    } = this;
    const selected = { accession: view.link.get("accession"), position: view.link.get("position") };
    const colour = (/** @type {string} */ category) => this.colour(category);
    const scene = {
      kit,
      theme: view.theme,
      bundle,
      geometry: g,
      names,
      axis,
      rows,
      scroll,
      strips,
      brush,
    };
    const marks = { selected, hover: view.link.hover, aligned: this.order === "aligned" };
    drawTracks(surface, { ...scene, ...marks, spans, colour, legend }, width);
  }

  scrolled() {
    this.scroll = this.scroller.scrollTop;
    this.point(null);
    this.plot.redraw();
  }

  /**
   * @param {number} factor
   * @param {number} [x] the point that stays, from the left edge of the sequences
   */
  zoom(factor, x = this.middle()) {
    this.axis.zoomTo(this.axis.scale * factor, x);
    this.describe();
    this.plot.redraw();
  }

  /**
   * The selected residue, where it is seen, or the middle: the point that zooming by a key leaves
   * where it is.
   */
  middle() {
    const { axis, geometry: g, view } = this;
    const row = this.bundle ? selectedRow(this) : -1;
    const x =
      row < 0 ? -1 : axis.x((view.link.get("position") ?? -Infinity) - 0.5 + this.rows[row].shift);
    return x >= 0 && x <= g.width ? x : g.width / 2;
  }

  letters() {
    if (!this.bundle) return;
    this.spell();
    this.describe();
    this.plot.redraw();
  }

  /** Zoom to letters, around the selected residue or the maximum of the first row. */
  spell() {
    const { axis, bundle, rows, view } = this;
    const row = rows[Math.max(0, selectedRow(this))];
    if (!row) return;
    const own = bundle.place(view.link.get("accession")) === row.place;
    const position = (own && view.link.get("position")) || bundle.proteins[row.place].position || 1;
    const half = axis.width / LETTER / 2;
    const middle = position - 0.5 + row.shift;
    axis.show(middle - half, middle + half);
  }

  whole() {
    this.axis.fit();
    this.describe();
    this.plot.redraw();
  }

  /** @param {number} columns @returns {boolean} whether there was anywhere to go */
  pan(columns) {
    this.point(null);
    const gone = this.axis.pan(columns);
    if (gone) this.plot.redraw();
    return gone;
  }

  /**
   * The pointer is at a point of the picture, or nowhere.
   * @param {{ x: number, y: number } | null} at
   */
  point(at) {
    const found = at && this.bundle && hit(this, at);
    this.plot.canvas.style.cursor = found ? "pointer" : "";
    if (!found) this.tip.hide();
    else this.tip.show(labelLines(this.bundle, found, this.strips), at);
    const residue = found?.position && {
      accession: this.bundle.proteins[found.place].accession,
      position: found.position,
    };
    this.view.link.setHover(residue || null);
  }
}

export default { initialize: () => ({ render }) };

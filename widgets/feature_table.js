// @ts-check
// The JavaScript half of `FeatureTable`.

import { orderOf } from "./feature_data/order.js";
import { relisted } from "./feature_data/listing.js";
import { conceptName } from "./kit/concept_names.js";
import { nearEnds, nearEndsWords } from "./kit/near_ends.js";
import { Chooser } from "./feature_table/chooser.js";
import { Grid } from "./feature_table/grid.js";
import { drawRows, sizeOf } from "./feature_table/picture.js";
import { csvRows } from "./feature_table/rows.js";
import { Why } from "./feature_table/why.js";

/** @import { Context, Kit, Surface, View } from "./kit/types.js" */

const FROM_LOWEST = [
  ...["feature", "cluster", "rank", "p_count", "q_count"],
  ...["enrichment", "q_enrichment"],
];
const OF_CHOSEN = ["members", "share", "background", "background_share", "p_count", "q_count"];
const PINS = 4; // features that are drawn next to the selected one, at most

/** @param {Context} context */
async function render(context) {
  /** @type {Kit} */
  const kit = (await context.host.getWidget(context.model.get("kit"))).exports;
  const view = await kit.open(context, { title: "Features", kind: "features" });
  const [listing, proteins] = await Promise.all([view.store.listing, view.store.proteins]);
  new FeatureTable(kit, view, listing, proteins);
}

/**
 * One table on the page: which features it lists is the selection's, its order is the model's and
 * that of `[` and `]` in every view.
 */
class FeatureTable {
  /**
   * @param {Kit} kit
   * @param {View} view
   * @param {import("./feature_data/listing.js").Listing} listing
   * @param {import("./feature_data/proteins.js").Proteins} proteins
   */
  constructor(kit, view, listing, proteins) {
    this.kit = kit;
    this.view = view;
    this.listing = listing;
    this.table = listing.table;
    this.proteins = proteins;
    this.shown = listing.list({});
    /** @type {number[]} */
    this.rows = [];
    this.nAlive = this.shown.rows.length;
    this.nProteins = 0; // that a search finds
    this.here = this.held();
    this.onlyHere = this.here !== null;
    this.controls();
    this.why = new Why(kit, view, proteins, {
      unpick: () => {
        this.list({ among: [], why: "" });
        this.search.focus({ preventScroll: true }); // the button that was pressed is gone
      },
      choose: (/** @type {string[]} */ accessions) => this.choose(accessions),
    });
    const acts = {
      sort: (/** @type {string} */ name) => this.sort(name),
      select: (/** @type {number} */ feature) => this.select(feature),
      pin: (/** @type {number} */ feature) => this.pin(feature),
      reset: () => this.reset(),
    };
    this.grid = new Grid(kit, view, this.shown, acts);
    this.chooser = new Chooser(kit, view);
    this.pictures();
    this.listen();
    this.arrange();
    this.now = view.link.get("feature");
    this.grid.reveal(this.now, true);
  }

  /**
   * The features that a page without a kernel holds, where some were chosen for it.
   * @returns {Set<number> | null}
   */
  held() {
    const { model } = this.view.store;
    const kept = Object.keys(model.get("kept") ?? {}).map(Number);
    return model.static && kept.length ? new Set(kept) : null;
  }

  /** The page also holds the feature that was selected when it was written. */
  alsoHeld() {
    const { sent } = this.view.store;
    if (!this.here || !sent || this.here.has(sent.feature)) return;
    this.here.add(sent.feature);
    this.arrange();
  }

  controls() {
    const { view } = this;
    const options = { signal: view.signal };
    const said =
      "Search all pairs by concept, category or feature number; descriptions, motifs and notes; " +
      "and proteins by name";
    /** @type {HTMLInputElement} */
    this.search = this.field(
      { type: "search", placeholder: "concept or protein", "aria-label": said, title: said },
      "search",
      () => ({ search: this.search.value }),
    );
    this.search.addEventListener(
      "keydown",
      (/** @type {KeyboardEvent} */ event) => this.searchKey(event),
      options,
    );
    this.focus = () => this.search.select();
    view.store.focusSearch = this.focus;
    /** @type {[string, string][]} */
    const categories = this.listing.categories.map((name) => [name, name]);
    this.category = view.choice(
      "category",
      [["", "all"], ...categories],
      "",
      (/** @type {string} */ category) => this.list({ category }),
    );
    /** @type {HTMLInputElement} */
    this.least = this.field(
      {
        type: "number",
        min: 0,
        max: 1,
        step: 0.05,
        placeholder: "0",
        "aria-label": "Least F1 on test proteins of a pair, from 0 to 1",
      },
      "F1 test from",
      () => ({ least_f1: Math.max(0, Math.min(1, Number(this.least.value) || 0)) }),
    );
    this.silent = view.toggle(
      "silent",
      false,
      (/** @type {boolean} */ silent) => this.list({ silent }),
      "Show silent features too: they never fire on training proteins",
    );
    if (this.here) {
      view.toggle(
        "in this page",
        true,
        (/** @type {boolean} */ on) => {
          this.onlyHere = on;
          this.arrange();
        },
        "Show only features in this page: it has no kernel to read others",
      );
    }
  }

  /**
   * @param {Record<string, any>} attributes
   * @param {string} label
   * @param {() => import("./feature_data/listing.js").Listed} read
   * @returns {HTMLInputElement}
   */
  field(attributes, label, read) {
    const { element } = this.kit;
    const input = element("input", attributes);
    input.addEventListener("input", () => this.list(read()), { signal: this.view.signal });
    this.view.tools.append(element("label", {}, [element("span", { text: label }), input]));
    return input;
  }

  /**
   * Escape clears a search, Enter selects the first row, the arrow down goes to the rows.
   * @param {KeyboardEvent} event
   */
  searchKey(event) {
    if (event.key === "Escape" && this.search.value) this.list({ search: "" });
    else if (event.key === "Enter") {
      this.grid.grid.focus({ preventScroll: true });
      this.grid.step(-1, 1);
    } else if (event.key === "ArrowDown") {
      this.grid.grid.focus({ preventScroll: true });
      this.grid.step(this.grid.place(this.view.link.get("feature")), 0);
    } else return;
    event.preventDefault();
  }

  pictures() {
    const { kit, view, grid } = this;
    const shown = () => grid.sight();
    const size = () => sizeOf(grid.columns, shown()[1] - shown()[0]);
    const draw = (/** @type {Surface} */ surface) => {
      const [first, last] = shown();
      const { source, plm } = view.store.about;
      const all = kit.count(this.rows.length);
      const which = `rows ${Math.min(first + 1, last)} to ${last} of ${all}`;
      drawRows(
        kit,
        view,
        surface,
        { shown: this.shown, columns: grid.columns },
        this.rows.slice(first, last),
        `Features of ${source} on ${plm}: ${which}`,
      );
    };
    view.fileName = (/** @type {string} */ ending) =>
      `features_of_${view.store.about.source}.${ending}`.replace(/[^\w.-]/g, "_");
    view.saves({ ...kit.pictures(view, size, draw), csv: () => csvRows(this.shown, this.rows) });
  }

  listen() {
    const { link, store, signal } = this.view;
    this.view.onModel(["sort", "descending", "height", "columns"], () => this.arrange());
    link.on(["listed", "accessions"], () => this.relist(), signal);
    signal.addEventListener("abort", () => {
      if (store.order === this.order) store.order = null;
      if (store.focusSearch === this.focus) store.focusSearch = null;
    });
    link.on(["feature", "pinned"], () => this.selected(), signal);
    store.on(() => this.alsoHeld(), signal);
    store.on(() => this.firingKnown(), signal);
    store.on(() => this.noted(), signal);
    this.alsoHeld();
    this.view.onTheme(() => this.grid.draw());
  }

  /** Somebody has written a note. */
  noted() {
    const { notes } = this.listing;
    if (this.notes !== notes) this.arrange();
  }

  /** What common features are found with has come. */
  firingKnown() {
    if (this.view.link.get("accessions").length && !this.shown.common) this.arrange();
  }

  /**
   * List other features, in every view.
   * @param {import("./feature_data/listing.js").Listed} changes
   */
  list(changes) {
    const { link } = this.view;
    link.set({ listed: relisted(link.get("listed"), changes) });
  }

  /**
   * List what proteins have in common: the words that found them have done their work.
   * @param {string[]} accessions
   */
  choose(accessions) {
    const { link } = this.view;
    link.set({ accessions, listed: relisted(link.get("listed"), { search: "" }) });
    this.search.focus({ preventScroll: true }); // the button that was pressed is gone
  }

  reset() {
    const { link } = this.view;
    const { silent } = link.get("listed");
    link.set({ accessions: [], listed: relisted({}, { silent }) });
  }

  /**
   * A header was pressed: by this column, numbers from the highest; then the other way round; then
   * in the order that the list has by itself.
   * @param {string} name
   */
  sort(name) {
    const { model } = this.view;
    const again = model.get("sort") === name;
    const highest = !FROM_LOWEST.includes(name) && !this.shown.isNames(name);
    const back = again && model.get("descending") !== highest;
    model.set("sort", back ? "" : name);
    model.set("descending", again && !back ? !highest : highest);
    model.save_changes();
  }

  /** @param {number} feature */
  select(feature) {
    this.mine = feature;
    this.view.link.set({ feature, brush: [] });
  }

  /** @param {number} feature */
  pin(feature) {
    const { link } = this.view;
    const pinned = link.get("pinned");
    if (pinned.includes(feature))
      link.set({ pinned: pinned.filter((/** @type {number} */ other) => other !== feature) });
    else if (pinned.length < PINS) link.set({ pinned: [...pinned, feature] });
    else
      this.view.say(
        `${PINS} features are pinned, which is the most: unpin one of ${pinned.join(", ")} first`,
      );
  }

  /** Another feature or other pins, here or elsewhere. */
  selected() {
    const feature = this.view.link.get("feature");
    if (feature !== this.now) this.grid.reveal(feature, feature !== this.mine);
    this.now = feature;
    this.grid.follow();
    this.describe();
  }

  /** Other features are listed, here or elsewhere: the first of them are seen. */
  relist() {
    this.arrange();
    this.grid.scroller.scrollTop = 0;
  }

  /** Filter and sort again. */
  arrange() {
    const { model, store, link } = this.view;
    const listed = link.get("listed");
    this.notes = this.listing.notes;
    const common = store.common(this.proteins);
    const [sort, descending] = this.orderOf(listed, common);
    this.shown = this.listing.list(listed, common, sort === "rank");
    const { feature } = this.table.arrays;
    this.rows = this.shown.ordered(sort, descending);
    if (this.onlyHere) this.rows = this.rows.filter((row) => this.here?.has(feature[row]));
    this.order = this.rows.map((row) => feature[row]);
    store.order = this.order;
    this.showSettings();
    this.nProteins = this.why.show(common, sort);
    this.chooser.show(this.shown);
    this.grid.show(this.shown, this.rows, [sort, descending], this.noneWords());
    this.describe();
  }

  /**
   * The column that orders the rows, and whether from the highest.
   * @param {import("./feature_data/listing.js").Listed} listed
   * @param {import("./feature_data/common.js").Common | null} common
   * @returns {[string, boolean]}
   */
  orderOf(listed, common) {
    const { model } = this.view;
    const sort = model.get("sort");
    const isThere = sort && (!OF_CHOSEN.includes(sort) || common);
    const { columns } = this.table.record;
    return isThere ? [sort, model.get("descending")] : orderOf(listed, common, columns);
  }

  /** The controls say what the model says; a field that is being typed in is left alone. */
  showSettings() {
    const { search = "", category = "", least_f1 = 0, silent = false } =
      this.view.link.get("listed");
    if (this.search.value !== search) this.search.value = search;
    if ((Number(this.least.value) || 0) !== least_f1)
      this.least.value = least_f1 ? String(least_f1) : "";
    this.category.value = category;
    this.silent.setAttribute("aria-pressed", String(silent));
  }

  describe() {
    const { kit, view, table } = this;
    const all = table.arrays.feature.length;
    const { silent = false } = view.link.get("listed");
    const { named_by } = view.store.about;
    const hidden = all - this.nAlive;
    const among = silent
      ? `${kit.count(all)} features`
      : `${kit.count(this.nAlive)} active features`;
    view.subtitle.textContent =
      `${kit.count(this.rows.length)} of ${among}` +
      (silent || !hidden ? "" : `; ${kit.count(hidden)} silent ones hidden`) +
      (named_by ? `; names and F1 are of run ${named_by}` : "");
    const feature = view.link.get("feature");
    const place = this.grid.place(feature);
    const pinned = view.link.get("pinned");
    const where =
      place < 0
        ? "is not among the rows shown"
        : `is row ${kit.count(place + 1)}: ${this.match(this.rows[place])}`;
    const n = this.nProteins;
    const proteins = n ? `. ${kit.count(n)} protein${n === 1 ? "" : "s"} found too` : "";
    const pins = pinned.length ? `. Pinned: ${pinned.join(", ")}` : "";
    view.say(`Feature ${feature} ${where}${pins}${proteins}`);
  }

  /** Why there is no row. */
  noneWords() {
    const n = this.shown.rows.length;
    if (n) return `None of the ${this.kit.count(n)} features that match is in this page.`;
    return this.nProteins
      ? "No feature matches; the proteins above do."
      : "No feature matches.";
  }

  /** @param {number} row */
  match(row) {
    const { shown, kit } = this;
    const { about } = this.view.store;
    const [concept, category] = [shown.name("concept", row), shown.name("category", row)];
    const value = kit.fixed(shown.value("f1_per_domain", row));
    const alone = shown.found(row) || "no concept";
    const said = [
      concept ? `${conceptName(concept, category ?? "")}, F1 ${value} on test` : alone,
    ];
    if (shown.common) {
      const { n, others } = shown.common;
      const [members, background] = ["members", "background"].map((name) => shown.value(name, row));
      said.push(`fires in ${members} of ${n} chosen proteins, ${background} of ${others} others`);
    }
    if (nearEnds(this.table, about, row)) said.push(nearEndsWords(this.table, about, row));
    return said.join("; ");
  }
}

export default { initialize: () => ({ render }) };

// @ts-check
// The JavaScript half of `FeatureTable`.

import { columnsOf } from "./feature_table/columns.js";
import { Grid } from "./feature_table/grid.js";
import { drawRows, sizeOf } from "./feature_table/picture.js";
import { nearEnds, nearEndsWords } from "./kit/near_ends.js";
import { csvRows, filtered, isAlive, ordered } from "./feature_table/rows.js";

/** @import { Context, Kit, Surface, View } from "./kit/types.js" */

const PINS = 4; // features that are drawn beside the selected one, at most

/** @param {Context} context */
async function render(context) {
  /** @type {Kit} */
  const kit = (await context.host.getWidget(context.model.get("kit"))).exports;
  const view = await kit.open(context, { title: "Features", kind: "features" });
  new FeatureTable(kit, view, await view.store.table);
}

/**
 * One table on the page: settings are the model's, the order of its rows is that of `[` and `]` in
 * every view.
 */
class FeatureTable {
  /**
   * @param {Kit} kit
   * @param {View} view
   * @param {import("./feature_table/columns.js").Table} table
   */
  constructor(kit, view, table) {
    this.kit = kit;
    this.view = view;
    this.table = table;
    this.columns = columnsOf(table);
    /** @type {number[]} */
    this.rows = [];
    this.nAlive = Array.from(table.arrays.feature.keys()).filter((row) =>
      isAlive(table, /** @type {number} */ (row)),
    ).length;
    this.here = this.held();
    this.onlyHere = this.here !== null;
    /** @type {string} how `all` is sorted */
    this.sorted = "";
    /** @type {number[]} */
    this.all = [];
    this.controls();
    const acts = {
      sort: (/** @type {string} */ name) => this.sort(name),
      select: (/** @type {number} */ feature) => this.select(feature),
      pin: (/** @type {number} */ feature) => this.pin(feature),
      reset: () => this.set({ search: "", category: "", least_f1: 0 }),
    };
    this.grid = new Grid(kit, view, table, this.columns, acts);
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
    const { view, table } = this;
    const options = { signal: view.signal };
    const said = "Search features by number, concept, category, description";
    /** @type {HTMLInputElement} */
    this.search = this.field(
      { type: "search", placeholder: "number or name", "aria-label": said },
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
    const categories = (table.record.category ?? []).map((/** @type {string} */ name) => [
      name,
      name,
    ]);
    this.category = view.choice(
      "category",
      [["", "all"], ...categories],
      view.model.get("category"),
      (/** @type {string} */ category) => this.set({ category }),
    );
    /** @type {HTMLInputElement} */
    this.least = this.field(
      {
        type: "number",
        min: 0,
        max: 1,
        step: 0.05,
        placeholder: "0",
        "aria-label": "Least F1 on test proteins, from 0 to 1",
      },
      "F1 test from",
      () => ({ least_f1: Math.max(0, Math.min(1, Number(this.least.value) || 0)) }),
    );
    this.silent = view.toggle(
      "silent",
      view.model.get("silent"),
      (/** @type {boolean} */ silent) => this.set({ silent }),
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
   * @param {() => Record<string, any>} read
   * @returns {HTMLInputElement}
   */
  field(attributes, label, read) {
    const { element } = this.kit;
    const input = element("input", attributes);
    input.addEventListener("input", () => this.set(read()), { signal: this.view.signal });
    this.view.tools.append(element("label", {}, [element("span", { text: label }), input]));
    return input;
  }

  /**
   * Escape clears a search, Enter and the arrow down go to the rows.
   * @param {KeyboardEvent} event
   */
  searchKey(event) {
    if (event.key === "Escape" && this.search.value) this.set({ search: "" });
    else if (event.key === "Enter" || event.key === "ArrowDown") {
      this.grid.grid.focus({ preventScroll: true });
      this.grid.step(this.grid.place(this.view.link.get("feature")), 0);
    } else return;
    event.preventDefault();
  }

  pictures() {
    const { kit, view, grid } = this;
    const shown = () => grid.sight();
    const size = () => sizeOf(this.columns, shown()[1] - shown()[0]);
    const draw = (/** @type {Surface} */ surface) => {
      const [first, last] = shown();
      const { source, plm } = view.store.about;
      const all = kit.count(this.rows.length);
      const which = `rows ${Math.min(first + 1, last)} to ${last} of ${all}`;
      drawRows(
        kit,
        view,
        surface,
        this,
        this.rows.slice(first, last),
        `Features of ${source} on ${plm}: ${which}`,
      );
    };
    view.fileName = (/** @type {string} */ ending) =>
      `features_of_${view.store.about.source}.${ending}`.replace(/[^\w.-]/g, "_");
    view.saves({ ...kit.pictures(view, size, draw), csv: () => csvRows(this.table, this.rows) });
  }

  listen() {
    const { link, store, signal } = this.view;
    this.view.onModel(
      ["search", "category", "least_f1", "silent", "sort", "descending", "height"],
      () => this.arrange(),
    );
    signal.addEventListener("abort", () => {
      if (store.order === this.order) store.order = null;
      if (store.focusSearch === this.focus) store.focusSearch = null;
    });
    link.on(["feature", "pinned"], () => this.selected(), signal);
    store.on(() => this.alsoHeld(), signal);
    this.alsoHeld();
    this.view.onTheme(() => this.grid.draw());
  }

  /**
   * Settings that differ; the listeners of `listen` do the rest.
   * @param {Record<string, any>} settings
   */
  set(settings) {
    const { model } = this.view;
    for (const [name, value] of Object.entries(settings))
      if (model.get(name) !== value) model.set(name, value);
    model.save_changes();
  }

  /**
   * A header was pressed: the other way round, or by another column, numbers from the highest.
   * @param {string} name
   */
  sort(name) {
    const { model } = this.view;
    const again = model.get("sort") === name;
    const highest =
      name !== "feature" && name !== "cluster" && !Array.isArray(this.table.record[name]);
    this.set({ sort: name, descending: again ? !model.get("descending") : highest });
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

  /** Filter and sort again. */
  arrange() {
    const { model, store } = this.view;
    const of = (/** @type {string} */ name) => model.get(name);
    const key = `${of("sort")} ${of("descending")}`;
    if (this.sorted !== key) this.all = ordered(this.table, of("sort"), of("descending"));
    this.sorted = key;
    const filter = {
      search: of("search"),
      category: of("category"),
      least_f1: of("least_f1"),
      silent: of("silent"),
    };
    this.rows = filtered(this.table, this.all, {
      ...filter,
      only: this.onlyHere ? this.here : null,
    });
    this.order = this.rows.map((row) => this.table.arrays.feature[row]);
    store.order = this.order;
    this.showSettings();
    this.grid.show(this.rows, of("sort"), of("descending"));
    this.describe();
  }

  /** The controls say what the model says; a field that is being typed in is left alone. */
  showSettings() {
    const { model } = this.view;
    if (this.search.value !== model.get("search")) this.search.value = model.get("search");
    if ((Number(this.least.value) || 0) !== model.get("least_f1"))
      this.least.value = String(model.get("least_f1"));
    this.category.value = model.get("category");
    this.silent.setAttribute("aria-pressed", String(model.get("silent")));
  }

  describe() {
    const { kit, view, table } = this;
    const all = table.arrays.feature.length;
    const silent = view.model.get("silent");
    const hidden = all - this.nAlive;
    const among = silent
      ? `${kit.count(all)} features`
      : `${kit.count(this.nAlive)} active features`;
    view.subtitle.textContent =
      `${kit.count(this.rows.length)} of ${among}` +
      (silent || !hidden ? "" : `; ${kit.count(hidden)} silent ones hidden`);
    const feature = view.link.get("feature");
    const place = this.grid.place(feature);
    const pinned = view.link.get("pinned");
    const where =
      place < 0
        ? "is not among the rows shown"
        : `is row ${kit.count(place + 1)}: ${this.match(this.rows[place])}`;
    view.say(`Feature ${feature} ${where}${pinned.length ? `. Pinned: ${pinned.join(", ")}` : ""}`);
  }

  /** @param {number} row */
  match(row) {
    const { record, arrays } = this.table;
    const { about } = this.view.store;
    const concept = record.concept?.[arrays.concept[row]];
    const match = concept
      ? `best concept ${concept}, F1 ${this.kit.fixed(arrays.f1_per_domain[row])} on test`
      : "no concept";
    if (!nearEnds(this.table, about, row)) return match;
    return `${match}; ${nearEndsWords(this.table, about, row)}`;
  }
}

export default { render };

// @ts-check
// Rows on the screen: only those that are in sight are in the page, however many there are.

import { nearEnds, nearEndsWords } from "../kit/near_ends.js";
import { categoryColour } from "./picture.js";
import { BADGE, MARKED, NOTED, ROW, columnsOf, hintOf, textOf } from "./columns.js";

/** @import { Kit, View } from "../kit/types.js" */

/** @typedef {import("./columns.js").Column} Column */
/** @typedef {import("../feature_data/listing.js").Shown} Shown */
/**
 * @typedef {object} Acts
 * @property {(name: string) => void} sort
 * @property {(feature: number) => void} select
 * @property {(feature: number) => void} pin
 * @property {() => void} reset
 */

const AHEAD = 8; // rows drawn beyond what is in sight
const PIN_WIDTH = 34;
const WHY_MARGIN = 4; // below the line above the list, as style.css has it
const ACROSS = 120; // pixels that a key scrolls
const ROOM_FOR_NAMES = 142;

/** @param {Column} column */
const nameOf = ({ name }) => name;

export class Grid {
  /**
   * @param {Kit} kit
   * @param {View} view
   * @param {Shown} shown
   * @param {Acts} acts
   */
  constructor(kit, view, shown, acts) {
    this.kit = kit;
    this.view = view;
    this.shown = shown;
    this.columns = columnsOf(shown, view.model.get("columns"));
    this.acts = acts;
    /** @type {number[]} rows of the table, in order */
    this.rows = [];
    /** @type {Map<number, number>} */
    this.places = new Map();
    this.name = `iplm-${Math.random().toString(36).slice(2)}`; // two tables may be on one page
    this.frames = 0;
    this.seen = 0; // height of what is in sight
    this.first = 0; // places that are drawn
    this.last = 0;
    /** @type {HTMLElement[]} */
    this.drawn = [];
    this.none = ""; // what is said where no row is
    this.build();
    this.listen();
  }

  build() {
    const { element } = this.kit;
    this.content = element("tbody");
    const label =
      "Features. Up, Down, Page Up, Page Down, Home and End select a feature, P pins it; " +
      "Left and Right scroll to further columns.";
    const attributes = { role: "grid", tabindex: 0, "aria-label": label };
    this.cols = element("colgroup");
    this.heading = element("tr", { "aria-rowindex": 1 });
    const top = element("thead", {}, [this.heading]);
    /** @type {HTMLTableElement} */
    this.grid = element("table", attributes, [this.cols, top, this.content]);
    this.layColumns();
    /** @type {HTMLElement} */
    this.scroller = element("div", { class: "iplm-scroll" }, [this.grid]);
    this.view.body.append(this.scroller);
  }

  /** Widths and headings of the columns. */
  layColumns() {
    const { element } = this.kit;
    const widths = [PIN_WIDTH, ...this.columns.map(({ width }) => width)];
    const cols = widths.map((width) =>
      element("col", { style: width ? `width: ${width}px` : null }),
    );
    this.heads = new Map(this.columns.map((column) => [column.name, this.head(column)]));
    const hint = "Pinned features are drawn next to the selected one";
    const pins = element("th", { scope: "col", class: "iplm-pins", text: "pin", title: hint });
    this.cols.replaceChildren(...cols);
    this.heading.replaceChildren(pins, ...this.heads.values());
    this.grid.setAttribute("aria-colcount", String(this.columns.length + 1));
    this.grid.style.minWidth = `${widths.reduce((a, b) => a + b, 0) + ROOM_FOR_NAMES}px`;
    this.above = this.space();
    this.below = this.space();
  }

  /** @param {Column} column */
  head({ name, label, hint, kind }) {
    const { element } = this.kit;
    const button = element("button", {
      type: "button",
      text: label,
      title: `${hint}. Press to sort.`,
    });
    button.addEventListener("click", () => this.acts.sort(name), { signal: this.view.signal });
    return element("th", { scope: "col", class: `iplm-${kind}`, "aria-sort": "none" }, [button]);
  }

  /** Stands for the rows that are not drawn. */
  space() {
    const cell = this.kit.element("td", { colspan: this.columns.length + 1 });
    return this.kit.element("tr", { class: "iplm-space", "aria-hidden": "true" }, [cell]);
  }

  listen() {
    const options = { signal: this.view.signal };
    this.scroller.addEventListener("scroll", () => this.later(), options);
    const sized = new ResizeObserver(() => this.sized());
    sized.observe(this.scroller);
    this.view.signal.addEventListener("abort", () => sized.disconnect());
    this.grid.addEventListener("keydown", (event) => this.keyboard(event), options);
    this.content.addEventListener(
      "click",
      (/** @type {MouseEvent} */ event) => this.click(event),
      options,
    );
    // The focus stays on the grid: a row that scrolls away would take it along.
    this.content.addEventListener(
      "mousedown",
      (/** @type {MouseEvent} */ event) => {
        if (!(/** @type {Element} */ (event.target).closest(".iplm-pin"))) return;
        event.preventDefault();
        this.grid.focus({ preventScroll: true });
      },
      options,
    );
  }

  later() {
    this.frames ||= requestAnimationFrame(() => {
      this.frames = 0;
      this.follow();
    });
  }

  /** Another height: the selected row stays in sight. */
  sized() {
    const { clientHeight } = this.scroller;
    if (!clientHeight || clientHeight === this.seen) return;
    this.seen = clientHeight;
    this.draw();
    if (this.view.room) this.reveal(this.view.link.get("feature"), true);
  }

  /** After a scroll or another selection. */
  follow() {
    const [first, last] = this.window();
    if (first !== this.first || last !== this.last) this.draw();
    else this.mark();
  }

  /** @param {MouseEvent} event */
  click(event) {
    const target = /** @type {Element} */ (event.target);
    const row = /** @type {HTMLElement | null} */ (target.closest("tr[data-feature]"));
    if (target.closest(".iplm-reset")) this.acts.reset();
    if (!row) return;
    (target.closest(".iplm-pin") ? this.acts.pin : this.acts.select)(Number(row.dataset.feature));
  }

  /** @param {KeyboardEvent} event */
  keyboard(event) {
    if (event.target !== this.grid || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.room() / ROW) - 1);
    const by = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -Infinity,
      End: Infinity,
    }[event.key];
    const here = this.place(this.view.link.get("feature"));
    const across = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) this.step(here, by);
    else if (across) this.scroller.scrollLeft += across * ACROSS;
    else if (event.key.toLowerCase() === "p" && here >= 0)
      this.acts.pin(this.view.link.get("feature"));
    else if (event.key === "Enter") this.step(here, 0);
    else return;
    event.preventDefault();
  }

  /** @param {number} here -1: the selected feature is not among the rows @param {number} by */
  step(here, by) {
    if (this.rows.length === 0) return;
    const from = here >= 0 ? here : by < 0 ? this.rows.length : -1;
    this.acts.select(this.feature(Math.max(0, Math.min(this.rows.length - 1, from + by))));
  }

  /** @param {number} place in the order */
  feature(place) {
    return this.shown.table.arrays.feature[this.rows[place]];
  }

  /** Place of a feature in the order, or -1. @param {number} feature */
  place(feature) {
    return this.places.get(feature) ?? -1;
  }

  /** Height of the rows that are in sight. */
  room() {
    return (
      (this.scroller.clientHeight || this.view.model.get("height")) -
      (this.grid.tHead?.offsetHeight || ROW)
    );
  }

  /**
   * First and last place (exclusive) to draw: the same for a few rows of scrolling.
   * @returns {[number, number]}
   */
  window() {
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / ROW / AHEAD) - 1) * AHEAD;
    return [first, Math.min(this.rows.length, first + Math.ceil(this.room() / ROW) + 3 * AHEAD)];
  }

  /** Places that are in sight whole, for a picture. @returns {[number, number]} */
  sight() {
    const first = Math.round(this.scroller.scrollTop / ROW);
    return [first, Math.min(this.rows.length, first + Math.floor(this.room() / ROW))];
  }

  /**
   * @param {Shown} shown @param {number[]} rows
   * @param {[string, boolean]} order the column that orders them, and whether from the highest
   * @param {string} none what is said where no row is
   */
  show(shown, rows, [sort, descending], none) {
    this.shown = shown;
    this.none = none;
    const columns = columnsOf(shown, this.view.model.get("columns"));
    if (String(columns.map(nameOf)) !== String(this.columns.map(nameOf))) {
      this.columns = columns;
      this.layColumns();
    }
    this.rows = rows;
    const { feature } = shown.table.arrays;
    this.places = new Map(rows.map((row, place) => [feature[row], place]));
    this.grid.setAttribute("aria-rowcount", String(rows.length + 1));
    const said = descending ? "descending" : "ascending";
    for (const [name, head] of this.heads ?? [])
      head.setAttribute("aria-sort", name === sort ? said : "none");
    this.draw();
  }

  draw() {
    // What the line above takes beyond one row of it is the list's, so that nothing below moves.
    const above = Math.max(0, this.scroller.offsetTop - ROW - WHY_MARGIN);
    const height = this.view.model.get("height");
    this.scroller.style.height = `${Math.max(height / 3, height - above)}px`;
    const [first, last] = this.window();
    [this.first, this.last] = [first, last];
    this.above.firstChild.style.height = `${first * ROW}px`;
    this.below.firstChild.style.height = `${(this.rows.length - last) * ROW}px`;
    this.drawn = this.rows.slice(first, last).map((row, i) => this.row(row, first + i));
    this.content.replaceChildren(
      ...(this.rows.length ? [this.above, ...this.drawn, this.below] : [this.nothing()]),
    );
    this.mark();
  }

  /** Which of the drawn rows is selected, which are pinned. */
  mark() {
    const { link } = this.view;
    const [selected, pinned] = [link.get("feature"), link.get("pinned")];
    this.grid.removeAttribute("aria-activedescendant");
    for (const row of this.drawn) {
      const feature = Number(row.dataset.feature);
      row.setAttribute("aria-selected", String(feature === selected));
      if (feature === selected) this.grid.setAttribute("aria-activedescendant", row.id);
      row
        .querySelector(".iplm-pin")
        ?.setAttribute("aria-pressed", String(pinned.includes(feature)));
    }
  }

  /** @param {number} row @param {number} place */
  row(row, place) {
    const { element } = this.kit;
    const feature = this.shown.table.arrays.feature[row];
    const pin = element("button", {
      type: "button",
      class: "iplm-pin",
      tabindex: -1,
      "aria-label": `Pin feature ${feature}`,
      title: "Draw this feature next to the selected one",
    });
    return element(
      "tr",
      {
        id: `${this.name}-${feature}`,
        "aria-rowindex": place + 2,
        "data-feature": feature,
        class: this.shown.listing.isAlive(row) ? null : "iplm-silent",
      },
      [
        element("td", { class: "iplm-pins" }, [pin]),
        ...this.columns.map((column) => this.cell(column, row)),
      ],
    );
  }

  /** @param {Column} column @param {number} row */
  cell(column, row) {
    const { element } = this.kit;
    const text = textOf(this.kit, this.shown, column, row);
    const cell = element("td", {
      class: `iplm-${column.kind}`,
      title: column.kind === "names" ? hintOf(this.shown, column, row) : null,
    });
    if (column.kind === "share" && text !== "–") {
      const bar = element("span", { class: "iplm-bar" });
      bar.style.width = `${100 * Math.min(1, this.shown.value(column.name, row))}%`;
      cell.append(element("span", { class: "iplm-track", "aria-hidden": "true" }, [bar]));
    }
    if (column.name === "category" && text !== "–") {
      const dot = element("span", { class: "iplm-dot", "aria-hidden": "true" });
      dot.style.background = categoryColour(this.view, text);
      cell.append(dot);
    }
    if (column.name === MARKED) {
      const { table } = this.shown;
      const { about } = this.view.store;
      if (nearEnds(table, about, row))
        cell.append(this.badge("iplm-ends", BADGE, nearEndsWords(table, about, row)));
      const note = this.shown.name("note", row) ?? this.shown.name("comment", row);
      if (note) cell.append(this.badge("iplm-noted", NOTED, `A person's note: ${note}`));
    }
    cell.append(text);
    return cell;
  }

  /** A word that is seen and a sentence that is read out.
   * @param {string} kind @param {string} text @param {string} said */
  badge(kind, text, said) {
    const { element } = this.kit;
    return element("span", { class: `iplm-badge ${kind}`, title: said }, [
      element("span", { "aria-hidden": "true", text }),
      element("span", { class: "iplm-hidden", text: `${said}; ` }),
    ]);
  }

  nothing() {
    const { element } = this.kit;
    const button = element("button", {
      type: "button",
      class: "iplm-reset",
      text: "Show all features",
    });
    const said = element("span", { text: `${this.none} ` });
    const cell = element("td", { colspan: this.columns.length + 1, class: "iplm-none" }, [
      said,
      button,
    ]);
    return element("tr", { "aria-rowindex": 2 }, [cell]);
  }

  /**
   * Scroll to a feature, where it is not in sight.
   * @param {number} feature @param {boolean} centre in the middle, or as little as possible
   */
  reveal(feature, centre) {
    const place = this.place(feature);
    if (place < 0) return;
    const [top, room, from] = [place * ROW, this.room(), this.scroller.scrollTop];
    if (top >= from && top + ROW <= from + room) return;
    this.scroller.scrollTop = centre ? top - (room - ROW) / 2 : top < from ? top : top + ROW - room;
  }
}

// @ts-check
// The table of concepts: numbers for the eye and for screen readers, and each row's picture.

import { conceptHint, conceptName } from "../kit/concept_names.js";
import { drawAxis, drawMark, drawScore, SCORE } from "./marks.js";
import { lineOf, nameOf, qOf, rangeOf } from "./words.js";

/** @import { Kit, Surface, View } from "../kit/types.js" */

/** @typedef {import("./words.js").Row} Row */
/** @typedef {import("./words.js").Sources} Sources */

const AXIS = 14; // height of the numbers above the rows
const COLUMNS = /** @type {[string, string, number][]} */ ([
  ["concept", "Concepts with enough instances, the best on validation first", 0],
  ["F1 on test", "F1 per domain on test proteins: precision by residues, recall by instances", 124],
  ["F1 test", "The bar in numbers", 54],
  [
    "95\u00a0% interval",
    "Over homology clusters of test proteins; only where this feature is its concept's best",
    98,
  ],
  [
    "F1 valid.",
    "F1 per domain on validation proteins, where feature and threshold were chosen",
    64,
  ],
  ["above", "Threshold: a residue counts as active above this share of the feature's maximum", 54],
  ["q", "False discovery rate of the pair; only where this feature is its concept's best", 58],
  ["instances", "Instances of the concept in test proteins", 74],
]);

export class Scores {
  /** @param {Kit} kit @param {View} view @param {Sources} sources */
  constructor(kit, view, sources) {
    this.kit = kit;
    this.view = view;
    this.sources = sources;
    /** @type {Row[]} */
    this.rows = [];
    const { element } = kit;
    this.axis = element("canvas", { "aria-hidden": "true" });
    const heads = COLUMNS.map(([label, hint]) =>
      element("th", { scope: "col", text: label, title: hint }),
    );
    heads[1].append(this.axis);
    const cols = COLUMNS.map(([, , width]) =>
      element("col", { style: width ? `width: ${width}px` : null }),
    );
    this.content = element("tbody");
    const head = element("thead", {}, [element("tr", {}, heads)]);
    const table = element("table", {}, [element("colgroup", {}, cols), head, this.content]);
    const attributes = {
      class: "iplm-scroll",
      tabindex: 0,
      role: "region",
      "aria-label": "Scores of the feature by concept",
    };
    this.root = element("div", attributes, [table]);
    this.legend = element("ul", { class: "iplm-legend", "aria-label": "What the marks are" });
    const observer = new ResizeObserver(() => this.draw());
    observer.observe(this.root);
    view.signal.addEventListener("abort", () => observer.disconnect());
    view.onTheme(() => this.draw());
  }

  /** @param {Row[]} rows */
  show(rows) {
    this.rows = rows;
    this.root.hidden = this.legend.hidden = rows.length === 0;
    this.content.replaceChildren(...rows.map((row) => this.row(row)));
    this.marked = [...new Set(rows.flatMap((row) => Object.keys(row.controls)))];
    this.legend.replaceChildren(...[this.own, ...this.marked].map((name) => this.legendItem(name)));
    this.draw();
  }

  /** The source of the feature. */
  get own() {
    return this.view.store.about.source;
  }

  /** @param {Row} row */
  row(row) {
    const { element, fixed } = this.kit;
    const line = lineOf(this.kit, row, this.sources, this.own);
    const name = element("th", { scope: "row", title: conceptHint(row.concept, row.category) }, [
      element("span", { text: conceptName(row.concept, row.category) }),
    ]);
    const canvas = element("canvas", { role: "img", "aria-label": line });
    const texts = [
      fixed(row.f1_per_domain),
      rangeOf(this.kit, row),
      fixed(row.validation_f1_per_domain),
      String(row.threshold),
      qOf(this.kit, row.q_value),
      this.kit.count(row.n_instances),
    ];
    const picture = element("td", { title: line, class: "iplm-score" }, [canvas]);
    return element("tr", {}, [
      name,
      picture,
      ...texts.map((text) => element("td", { class: "iplm-number", text })),
    ]);
  }

  /** @param {string} name of a source */
  legendItem(name) {
    const { element } = this.kit;
    const own = name === this.own;
    const canvas = element("canvas", { "aria-hidden": "true" });
    canvas.dataset.source = name;
    const text = own
      ? `this feature (${nameOf(this.sources, name)}), 95\u00a0% interval`
      : nameOf(this.sources, name);
    const title = own
      ? null
      : `What the best of ${nameOf(this.sources, name)} for the concept reaches on test`;
    return element("li", { title }, [canvas, element("span", { text })]);
  }

  /** Draw the pictures again, at their present width. */
  draw() {
    const { theme } = this.view;
    const canvases = [...this.content.querySelectorAll("canvas")];
    const width = canvases[0]?.parentElement.clientWidth ?? 0;
    if (!width) return;
    this.on(this.axis, width, AXIS, (/** @type {Surface} */ surface) =>
      drawAxis(surface, theme, 0, AXIS / 2, width),
    );
    canvases.forEach((canvas, i) =>
      this.on(canvas, width, SCORE, (/** @type {Surface} */ surface) =>
        drawScore(surface, theme, this.sources, this.own, this.rows[i], 0, 0, width),
      ),
    );
    for (const canvas of this.legend.querySelectorAll("canvas")) {
      this.on(canvas, 18, 16, (/** @type {Surface} */ surface) =>
        this.drawMark(surface, canvas.dataset.source, 9, 8),
      );
    }
  }

  /** @param {Surface} surface @param {string} name @param {number} x @param {number} y */
  drawMark(surface, name, x, y) {
    const { theme } = this.view;
    const { colour = theme.muted, marker = "o" } = this.sources[name] ?? {};
    if (name !== this.own) return drawMark(surface, marker, x, y, colour, theme.text);
    surface.rect(x - 8, y - 4, 12, 8, colour);
    surface.line(x - 1, y, x + 8, y, theme.text, 1.5);
    for (const end of [x - 1, x + 8]) surface.line(end, y - 4, end, y + 4, theme.text, 1.5);
  }

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {number} width
   * @param {number} height
   * @param {(surface: Surface) => void} draw
   */
  on(canvas, width, height, draw) {
    const ratio = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    [canvas.style.width, canvas.style.height] = [`${width}px`, `${height}px`];
    const g = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    draw(new this.kit.CanvasSurface(g));
  }
}

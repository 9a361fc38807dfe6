// @ts-check
// The JavaScript half of `FeatureAtlas`.

import { Camera } from "./feature_atlas/camera.js";
import { WAYS, clusterName, colouring, layered } from "./feature_atlas/colouring.js";
import { picturesOf, rowsOf } from "./feature_atlas/files.js";
import { Legend, SCALE_HEIGHT, drawScale } from "./feature_atlas/legend.js";
import { Painter, drawLasso, radiusOf } from "./feature_atlas/paint.js";
import { Pointer, STEP_IN } from "./feature_atlas/pointer.js";
import { Points, extent, inside } from "./feature_atlas/points.js";
import { Ring } from "./feature_atlas/ring.js";
import { narrows, relisted } from "./feature_data/listing.js";
import { conceptName } from "./kit/concept_names.js";

/** @import { Context, Kit, Surface, View } from "./kit/types.js" */

const LOWEST = 150; // points of the picture, where a workbench gives less
const KEYS_SAID =
  "Arrow keys select the nearest feature in a direction, plus and minus zoom, 0 shows all, " +
  "Escape clears the choice.";

/** @param {Context} context */
async function render(context) {
  /** @type {Kit} */
  const kit = (await context.host.getWidget(context.model.get("kit"))).exports;
  const view = await kit.open(context, { title: "Map of features", kind: "atlas" });
  const { missing } = view.model.get("about");
  if (missing) view.body.append(kit.element("p", { class: "iplm-words", text: missing }));
  else {
    const [listing, proteins] = await Promise.all([view.store.listing, view.store.proteins]);
    new Atlas(kit, view, new Points(listing.table), listing, proteins);
  }
}

/** The map on the page. */
export class Atlas {
  /**
   * @param {Kit} kit @param {View} view @param {Points} points
   * @param {import("./feature_data/listing.js").Listing} listing
   * @param {import("./feature_data/proteins.js").Proteins} proteins
   */
  constructor(kit, view, points, listing, proteins) {
    this.kit = kit;
    this.view = view;
    this.points = points;
    this.listing = listing;
    this.proteins = proteins;
    /** @type {Set<number> | null} features that are listed; null: all */
    this.listed = null;
    this.camera = new Camera(extent(points.x, points.y));
    this.painter = new Painter(points.n);
    this.lassoing = false;
    this.legend = new Legend(view, (group) => this.chooseGroup(group));
    this.coloured = this.colours();
    this.layers = layered(this.coloured, new Set());
    this.plot = this.build();
    this.ring = new Ring(view);
    this.tip = view.tip();
    const { caption, no_clusters: noClusters } = view.model.get("about");
    view.body.append(
      this.legend.root,
      kit.element("p", { class: "iplm-caption", text: `${caption}.` }),
    );
    if (noClusters)
      view.body.append(kit.element("p", { class: "iplm-caption", text: noClusters }));
    this.pointer = new Pointer(this, view.signal);
    this.controls();
    this.listen();
    this.relist();
    this.recolour();
  }

  build() {
    const { view, kit, points } = this;
    const absent = points.nFeatures - points.n;
    const silent = absent ? `; ${kit.count(absent)} never active, not on the map` : "";
    const all = kit.count(points.nFeatures);
    view.subtitle.textContent = `${kit.count(points.n)} of ${all} features${silent}`;
    return view.plot({
      label: `Map of ${kit.count(points.n)} features. ${KEYS_SAID}`,
      height: (width, room) => this.height(width, room),
      role: "application",
      draw: (surface, w, h) => this.draw(surface, w, h),
    });
  }

  /**
   * Of the picture: the room that legend and captions leave, or by its width.
   * @param {number} width @param {number} room
   */
  height(width, room) {
    const { body } = this.view;
    if (!room) return Math.round(Math.max(240, Math.min(560, 0.62 * width))) + this.strip;
    const rest = [...body.children].filter((child) => child.matches(".iplm-legend, .iplm-caption"));
    const taken = rest.reduce((sum, child) => sum + child.getBoundingClientRect().height + 4, 0);
    return Math.max(LOWEST, Math.floor(room - taken));
  }

  controls() {
    const { view, pointer } = this;
    /** @type {[string, string][]} */
    const ways = WAYS.filter(({ value }) => value !== "cluster" || this.points.cluster).map(
      ({ value, name }) => [value, name],
    );
    this.way = view.choice("colour", ways, view.model.get("colour"), (/** @type {string} */ way) =>
      view.keep("colour", way),
    );
    const hint = "Lasso: a drag picks out features, as Shift and a drag always do";
    view.toggle("lasso", false, (/** @type {boolean} */ on) => this.setLasso(on), hint);
    view.button("−", () => pointer.zoom(1 / STEP_IN), "Zoom out");
    view.button("+", () => pointer.zoom(STEP_IN), "Zoom in");
    view.button("all", () => pointer.whole(), "Show all of the map");
    view.saves({ ...picturesOf(this), csv: () => rowsOf(this) });
  }

  listen() {
    const { view } = this;
    view.onTheme(() => this.recolour());
    view.link.on(["feature", "pinned"], () => this.selectedAnew(), view.signal);
    view.onModel(["colour"], () => this.recolour());
    view.link.on(["listed", "accessions"], () => this.relist(), view.signal);
    view.store.on(() => this.firingKnown(), view.signal);
    const escape = (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && this.pick([]);
    view.root.addEventListener("keydown", escape, { signal: view.signal });
  }

  /** Points of the picture below the map, for a scale. */
  get strip() {
    return this.coloured.scale ? SCALE_HEIGHT : 0;
  }

  /** Number of the selected feature's point; -1: it is not on the map. */
  get selected() {
    return this.points.place(this.view.link.get("feature"));
  }

  colours() {
    const { model, theme, store } = this.view;
    return colouring(
      this.points,
      model.get("colour"),
      theme,
      store.about.categories,
      model.get("about").clusters,
      model.get("about").cluster_names,
    );
  }

  /** Another way to colour, or another theme. */
  recolour() {
    this.way.value = this.view.model.get("colour");
    this.coloured = this.colours();
    this.legend.show(this.coloured.groups);
    this.legend.press(this.pressed());
    this.layer();
  }

  /** What common features are found with has come. */
  firingKnown() {
    if (this.view.link.get("accessions").length) this.relist();
  }

  /** Other features are listed, here or elsewhere. */
  relist() {
    const { link, store } = this.view;
    const listed = link.get("listed");
    const common = store.common(this.proteins);
    this.listed =
      narrows(listed) || common ? this.listing.list(listed, common).features : null;
    this.legend.press(this.pressed());
    this.layer();
    this.describe();
  }

  /** The group of the legend that is picked out. */
  pressed() {
    const { among = [], why } = this.view.link.get("listed");
    const group = this.coloured.groups?.find(({ name }) => among.length && name === why);
    return group && String(this.numbersOf(group)) === String(among) ? group : null;
  }

  layer() {
    const { listed, points } = this;
    const seen = listed && new Set(Array.from(listed, (feature) => points.place(feature)));
    this.layers = layered(this.coloured, seen);
    this.moved();
  }

  /** @param {number[]} among numbers of features; none: all @param {string} [why] */
  pick(among, why = "") {
    const { link } = this.view;
    link.set({ listed: relisted(link.get("listed"), { among, why }) });
  }

  /** @param {import("./feature_atlas/colouring.js").Group} group */
  numbersOf(group) {
    return group.points.map((i) => this.points.feature[i]);
  }

  /** @param {import("./feature_atlas/colouring.js").Group | null} group */
  chooseGroup(group) {
    this.pick(group ? this.numbersOf(group) : [], group?.name);
  }

  /** @param {{ x: number, y: number }[]} path on the map */
  lasso(path) {
    const corners = path.map(({ x, y }) => [x, y]);
    const found = inside(this.points, corners).map((i) => this.points.feature[i]);
    this.pick(found, found.length ? "lasso on the map" : "");
  }

  /** @param {boolean} on */
  setLasso(on) {
    this.lassoing = on;
    this.plot.canvas.classList.toggle("iplm-lasso", on);
  }

  /** @param {number} i number of the point */
  select(i) {
    this.view.link.set({ feature: this.points.feature[i], brush: [] });
  }

  /** Here or elsewhere: it is brought into the picture. */
  selectedAnew() {
    const [x, y] = [this.points.x[this.selected], this.points.y[this.selected]];
    if (this.selected >= 0 && !this.camera.shows(x, y, 10)) this.camera.look(x, y);
    this.moved();
    this.describe();
  }

  /** The picture is to be drawn again. */
  moved() {
    this.hover(-1);
    this.plot.redraw();
  }

  /** @param {number} i number of the point under the pointer, or -1 */
  hover(i) {
    this.plot.canvas.classList.toggle("iplm-over", i >= 0);
    if (i < 0) {
      this.ring.hide();
      this.tip.hide();
      return;
    }
    const { points, camera } = this;
    const [x, y] = [camera.toX(points.x[i]), camera.toY(points.y[i])];
    this.ring.show(x, y, radiusOf(points.n, camera.zoom, camera.width));
    this.tip.show(this.words(i), { x, y });
  }

  describe() {
    const feature = this.view.link.get("feature");
    const absent = `Feature ${feature} is never active, so it is not on the map`;
    const one = this.selected < 0 ? absent : this.words(this.selected).join(", ");
    const n = this.listed?.size ?? 0;
    const some = `${this.kit.count(n)} feature${n === 1 ? "" : "s"} listed`;
    const back = this.view.link.get("listed").among?.length ? ", Escape clears the choice" : "";
    this.view.say(this.listed ? `${some}; [ and ] step through them${back}. ${one}` : one);
  }

  /** What is known of a point, in parts. @param {number} i */
  words(i) {
    const { points, kit } = this;
    const concept = points.conceptOf(i);
    const match = concept
      ? [conceptName(concept, points.categoryOf(i)), `F1 ${kit.fixed(points.f1[i])} on test`]
      : ["no concept"];
    const n = points.cluster?.[i];
    const names = this.view.model.get("about").cluster_names;
    const cluster = n === undefined ? [] : [n < 0 ? "no cluster" : clusterName(n, names)];
    return [
      `Feature ${points.feature[i]}`,
      ...match,
      `active on ${kit.percent(points.density[i])} of residues`,
      ...cluster,
    ];
  }

  /** @param {Surface} surface @param {number} width @param {number} height */
  draw(surface, width, height) {
    const { view, camera, points, coloured, layers } = this;
    camera.resize(width, height - this.strip);
    const marks = { selected: view.link.get("feature"), pinned: view.link.get("pinned") };
    surface.clip(0, 0, width, camera.height, () => {
      this.painter.draw(surface, { points, camera, coloured, layers, theme: view.theme, marks });
      drawLasso(surface, view.theme, this.pointer.path);
    });
    surface.frame(0.5, 0.5, width - 1, camera.height - 1, view.theme.line);
    if (coloured.scale)
      drawScale(surface, view.theme, coloured.scale, camera.height + 4, width, this.kit);
  }
}

export default { initialize: () => ({ render }) };

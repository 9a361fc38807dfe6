// @ts-check
// The JavaScript half of `FeatureData`: the bundle of the selected feature, from the kernel or from
// what is kept in the page.

import { unpack } from "./kit/bytes.js";
import { Bundle } from "./kit/bundle.js";
import { Firing } from "./feature_data/common.js";
import { Listing } from "./feature_data/listing.js";
import { orderOf } from "./feature_data/order.js";
import { Proteins } from "./feature_data/proteins.js";

/** @import { Host, Link, Model, Packed } from "./kit/types.js" */
/** @import { Common } from "./feature_data/common.js" */
/** @import { Note } from "./feature_data/listing.js" */

const PATIENCE = 4000; // ms before a view says that no kernel answers
const REMEMBERED = 20; // bundles

/**
 * What views know of the data. `state` is "ready", "loading", "missing" (with `message`); `bundle`
 * is the last one that was whole, so that views keep their picture while the next is on its way.
 */
export class Store {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    this.about = model.get("about");
    this.state = "loading";
    this.message = "";
    /** @type {Bundle | null} */
    this.bundle = null;
    /** @type {Packed | null} the selected protein's structure */
    this.structure = null;
    this.turn = 0; // of looking for what is selected; only the last one counts
    /** @type {Map<string, Bundle>} */
    this.remembered = new Map();
    /** @type {Set<() => void>} */
    this.listeners = new Set();
    /** @type {number[] | null} the order of `step`: what the table shows */
    this.order = null;
    /** @type {(() => void) | null} */
    this.focusSearch = null;
    /** @type {Promise<Listing> | null} once a view asks for it; so is the next */
    this.listingMade = null;
    /** @type {Promise<Proteins> | null} */
    this.proteinsMade = null;
    /** @type {Firing | null} which features fire where, once the kernel or the page says so */
    this.firing = null;
    /** @type {{ key: string, common: Common | null }} of the proteins that were chosen last */
    this.found = { key: "", common: null };
    /** @type {Link} the selection that it follows, from the first `attach` on */
    this.link = /** @type {any} */ (null);
    /** @type {Host} */
    this.host = /** @type {any} */ (null);
  }

  /** All features and scored pairs. @returns {Promise<Listing>} */
  get listing() {
    this.listingMade ??= Promise.all([this.table, this.read("pairs")]).then(([table, pairs]) => {
      const made = new Listing(table, pairs);
      made.take(this.notes);
      return made;
    });
    return this.listingMade;
  }

  /** What people wrote, by feature. @returns {Record<string, Note>} */
  get notes() {
    return this.model.get("notes") ?? {};
  }

  async notesArrived() {
    if (this.listingMade) (await this.listingMade).take(this.notes);
    this.tell();
  }

  /** @returns {Promise<Proteins>} */
  get proteins() {
    this.proteinsMade ??= this.read("proteins").then((made) => new Proteins(made));
    return this.proteinsMade;
  }

  /** All features. @returns {Promise<Packed>} */
  get table() {
    return this.read("features");
  }

  /** @param {"features" | "pairs" | "proteins"} name @returns {Promise<Packed>} */
  async read(name) {
    const { exports } = await this.host.getWidget(this.model.get("lists"));
    return exports.read(name);
  }

  /**
   * Follow a selection; the first call counts.
   * @param {Link} link
   * @param {Host} host of a view, which finds the lists
   */
  attach(link, host) {
    if (this.link) return;
    this.link = link;
    this.host = host;
    const forever = new AbortController().signal;
    link.on(["feature", "pinned", "accessions", "accession"], () => this.follow(), forever);
    this.model.on("change:bundle", () => this.arrived());
    this.model.on("change:problem", () => this.failed());
    this.model.on("change:structure", () => this.follow());
    this.model.on("change:firing", () => this.firingArrived());
    this.model.on("change:notes", () => this.notesArrived());
    this.firingArrived();
    this.arrived();
  }

  /** @param {() => void} listener @param {AbortSignal} signal */
  on(listener, signal) {
    if (signal.aborted) return; // a view that was closed while it was made
    this.listeners.add(listener);
    signal.addEventListener("abort", () => this.listeners.delete(listener));
  }

  tell() {
    for (const listener of [...this.listeners]) listener();
  }

  async firingArrived() {
    const view = this.model.get("firing");
    if (!view?.byteLength) return;
    this.firing = new Firing(await unpack(view));
    this.found.key = "";
    this.tell();
  }

  /**
   * What the chosen proteins have in common; null: none are chosen, or it is not known here.
   * @param {Proteins} proteins
   * @returns {Common | null}
   */
  common(proteins) {
    const key = String(this.link.get("accessions"));
    if (this.found.key !== key) {
      const chosen = key ? proteins.numbers(this.link.get("accessions")) : null;
      this.found = { key, common: chosen && this.firing && this.firing.inCommon(chosen) };
    }
    return this.found.common;
  }

  async arrived() {
    const view = this.model.get("bundle");
    if (view?.byteLength) {
      const bundle = new Bundle(await unpack(view));
      this.sent = bundle;
    }
    await this.follow();
  }

  /** Show the selected feature: at once where it is here, else when the kernel has answered. */
  async follow() {
    const turn = ++this.turn;
    const feature = this.link.get("feature");
    const [found, structure] = await Promise.all([
      this.find(feature),
      this.findStructure(this.link.get("accession")),
    ]);
    if (turn !== this.turn) return; // something else was selected meanwhile
    this.structure = structure;
    clearTimeout(this.waiting);
    if (found) {
      this.bundle = found;
      this.settle("ready", "");
    } else if (this.model.static) {
      this.settle("missing", this.absent(feature));
    } else {
      this.settle("loading", `Reading feature ${feature}`);
      this.waiting = setTimeout(() => this.settle("missing", this.absent(feature)), PATIENCE);
    }
  }

  /** @param {number} feature */
  async find(feature) {
    // With no kernel to ask for another, what was sent of this feature is the answer.
    if (this.sent?.answers(this.link) || (this.model.static && this.sent?.feature === feature))
      return this.sent;
    const known = this.remembered.get(String(feature));
    if (known) return known;
    const kept = this.model.get("kept")?.[feature];
    if (!kept) return null;
    const bundle = new Bundle(await unpack(kept));
    this.remembered.set(String(feature), bundle);
    if (this.remembered.size > REMEMBERED) this.remembered.delete([...this.remembered.keys()][0]);
    return bundle;
  }

  /** @param {string} accession */
  async findStructure(accession) {
    for (const view of [
      this.model.get("structure"),
      this.model.get("kept_structures")?.[accession],
    ]) {
      const packed = view?.byteLength ? await unpack(view) : null;
      if (packed?.record.accession === accession) return packed;
    }
    return null;
  }

  failed() {
    const problem = this.model.get("problem");
    if (!problem) return void this.follow();
    this.turn++;
    clearTimeout(this.waiting);
    this.settle("missing", problem);
  }

  /** @param {string} state @param {string} message */
  settle(state, message) {
    this.state = state;
    this.message = message;
    this.tell();
  }

  /** @param {number} feature */
  absent(feature) {
    const kept = Object.keys(this.model.get("kept") ?? {}).map(Number);
    if (this.sent && !kept.includes(this.sent.feature)) kept.unshift(this.sent.feature);
    const named = kept.slice(0, 30).join(", ");
    const more = kept.length > 30 ? ` and ${kept.length - 30} more` : "";
    const here = kept.length
      ? ` It holds ${kept.length === 1 ? "feature" : "features"} ${named}${more}.`
      : "";
    return this.model.static
      ? `This page was saved without feature ${feature}.${here} Whoever made it can add others.`
      : `No kernel answers, so feature ${feature} cannot be read.${here} ` +
          "Run the notebook to see every feature.";
  }

  /** The listed features as a table without settings would order them. */
  async defaultOrder() {
    const [listing, proteins] = await Promise.all([this.listing, this.proteins]);
    const common = this.common(proteins);
    const listed = this.link.get("listed");
    const [name, descending] = orderOf(listed, common, listing.table.record.columns);
    const shown = listing.list(listed, common, name === "rank");
    const { feature } = listing.table.arrays;
    return shown.ordered(name, descending).map((row) => feature[row]);
  }

  /**
   * Select the next feature in the order of the table.
   * @param {number} by 1 or -1
   */
  async step(by) {
    const order = this.order ?? (await this.defaultOrder());
    if (order.length === 0) return;
    const place = order.indexOf(this.link.get("feature"));
    const next =
      place < 0 ? (by > 0 ? 0 : order.length - 1) : (place + by + order.length) % order.length;
    this.link.set({ feature: order[next], brush: [] });
  }
}

/** @param {{ model: Model }} context */
function initialize({ model }) {
  return new Store(model);
}

export default { initialize };

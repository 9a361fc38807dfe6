// @ts-check
// The line above the rows: which features are listed and why, and the proteins that a search finds.

import { narrows } from "../feature_data/listing.js";

/** @import { Kit, View } from "../kit/types.js" */
/** @import { Proteins } from "../feature_data/proteins.js" */
/** @import { Common } from "../feature_data/common.js" */
/** @import { Listed } from "../feature_data/listing.js" */

const OFFERED = 3; // proteins by name, besides all of them
const MOST = 200; // proteins that are chosen at once: what a feature's bundle holds
const SURE = 0.05;

/**
 * @typedef {object} Acts
 * @property {() => void} unpick
 * @property {(accessions: string[]) => void} choose
 */

export class Why {
  /** @param {Kit} kit @param {View} view @param {Proteins} proteins @param {Acts} acts */
  constructor(kit, view, proteins, acts) {
    this.kit = kit;
    this.view = view;
    this.proteins = proteins;
    this.acts = acts;
    this.root = kit.element("div", {
      class: "iplm-why",
      role: "group",
      "aria-label": "Which features are listed",
    });
    view.body.append(this.root);
  }

  /** @param {Common | null} common @param {string} sort the column that orders the rows */
  show(common, sort) {
    const { link } = this.view;
    const [listed, accessions] = [link.get("listed"), link.get("accessions")];
    const found = this.proteins.matching(listed.search ?? "");
    this.root.replaceChildren(
      ...this.chips(listed, accessions),
      this.kit.element("span", { text: this.words(listed, accessions, common, sort) }),
      ...this.offers(found),
    );
    return found.length;
  }

  /** @param {Listed} listed @param {string[]} accessions @returns {HTMLElement[]} */
  chips({ among, why }, accessions) {
    const { count } = this.kit;
    const chips = [];
    if (among?.length) {
      const many = `${count(among.length)} ${among.length === 1 ? "feature" : "features"}`;
      chips.push(this.chip(`${many}: ${why || "picked out"}`, "", this.acts.unpick));
    }
    if (accessions.length) {
      const one = this.proteins.places.get(accessions[0]);
      const said =
        accessions.length > 1
          ? `${count(accessions.length)} proteins`
          : one === undefined
            ? accessions[0]
            : this.proteins.said(one);
      chips.push(this.chip(said, accessions.join(", "), () => this.acts.choose([])));
    }
    return chips;
  }

  /** A button that takes a reason back. @param {string} text @param {string} hint
   * @param {() => void} act @returns {HTMLElement} */
  chip(text, hint, act) {
    const { element } = this.kit;
    const made = this.button("iplm-chip", text, `${hint ? `${hint}: ` : ""}take back`, act);
    made.setAttribute("aria-label", `Take back: ${text}`);
    made.append(element("span", { "aria-hidden": "true", text: " ×" }));
    return made;
  }

  /** @param {string} kind @param {string} text @param {string} hint @param {() => void} act */
  button(kind, text, hint, act) {
    const { element } = this.kit;
    const name = element("span", { class: "iplm-name", text });
    const made = element("button", { type: "button", class: kind, title: hint }, [name]);
    made.addEventListener("click", act, { signal: this.view.signal });
    return made;
  }

  /**
   * Proteins that a search finds, to be chosen.
   * @param {number[]} found
   * @returns {HTMLElement[]}
   */
  offers(found) {
    if (!found.length) return [];
    const { element, count } = this.kit;
    const { accessions } = this.proteins;
    const hint = "List the features that these proteins have in common";
    const of = (/** @type {number[]} */ chosen) => () =>
      this.acts.choose(chosen.map((i) => accessions[i]));
    const [all, text] =
      found.length > MOST
        ? [found.slice(0, MOST), `first ${MOST} of ${count(found.length)}`]
        : [found, `all ${count(found.length)}`];
    const named = found
      .slice(0, OFFERED)
      .map((i) => this.button("iplm-offer", this.proteins.said(i), hint, of([i])));
    const together = found.length > 1 ? [this.button("iplm-offer", text, hint, of(all))] : [];
    return [element("span", { text: "Proteins:" }), ...together, ...named];
  }

  /** @param {Listed} listed @param {string[]} accessions @param {Common | null} common
   * @param {string} sort */
  words(listed, accessions, common, sort) {
    if (common) return this.commonWords(common);
    if (accessions.length) return this.absentWords(accessions);
    if (listed.search?.trim() || listed.category || listed.least_f1)
      return "Each row shows the pair that matches, or in quotes the words that do.";
    if (narrows(listed)) return "";
    return sort === "rank"
      ? "The best feature of each concept, then the second best of each."
      : "Each row shows the feature's best pair.";
  }

  /** @param {Common} common */
  commonWords({ n, others, columns }) {
    const { count, fixed } = this.kit;
    const firing = /** @type {import("../feature_data/common.js").Firing} */ (
      this.view.store.firing
    );
    const sure = columns.q_count.filter((q) => q <= SURE).length;
    const several =
      n === 2 ? "in both proteins" : `in ${firing.leastOf(n)} or more of ${n} proteins`;
    const where = n === 1 ? "in this protein" : several;
    return (
      `In common: above ${fixed(firing.above, 2)} of their maximum ${where}, and in a smaller ` +
      `share of the ${count(others)} others; ${count(sure)} with q ≤ ${SURE}.`
    );
  }

  /** Why what they have in common is not known. @param {string[]} accessions */
  absentWords(accessions) {
    const { store } = this.view;
    if (!this.proteins.accessions.length)
      return "This run has too many proteins to look for common features here; all are listed.";
    const strange = accessions.find((accession) => !this.proteins.places.has(accession));
    if (strange !== undefined)
      return `This run has no protein ${strange}; all features are listed.`;
    return store.model.static
      ? "This page does not hold what these proteins have in common; all features are listed."
      : "Looking for what these proteins have in common.";
  }
}

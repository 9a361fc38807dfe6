// @ts-check
// The label beside the pointer, and the buttons that take away what was added: pinned features, chosen proteins.

import { spansAt, spanWords, valueWords } from "./words.js";

const MOST = 6; // annotations in the label

/**
 * What the pointer is on, in lines.
 * @param {import("../kit/bundle.js").Bundle} bundle @param {{ place: number, position: number | null }} hit
 * @param {number[]} strips pinned features, by their numbers in the bundle
 */
export function labelLines(bundle, { place, position }, strips) {
  const protein = bundle.proteins[place];
  const head = [protein.accession, protein.name].filter(Boolean).join(" ");
  if (position === null) return [head, `${protein.sequence.length} residues, maximum ${protein.maximum.toFixed(2)}`];
  const others = strips.map((which) => {
    const value = bundle.values(place, which)[position - 1];
    return `feature ${bundle.record.pinned[which - 1].feature}: ${valueWords(value)}`;
  });
  const spans = spansAt(protein, position).map(spanWords);
  const more = spans.length > MOST ? [`and ${spans.length - MOST} more annotations`] : [];
  const value = bundle.values(place)[position - 1];
  const own = `${protein.sequence[position - 1]}${position}: ${valueWords(value)}`;
  return [head, own, ...others, ...spans.slice(0, MOST), ...more];
}

/** A box of text beside the pointer, within the view. */
export class Label {
  /** @param {any} kit @param {HTMLElement} home */
  constructor(kit, home) {
    this.kit = kit;
    this.home = home;
    this.box = kit.element("div", { class: "iplm-tip", hidden: "", "aria-hidden": "true" });
    home.append(this.box);
  }

  hide() {
    this.box.hidden = true;
  }

  /** @param {string[]} lines @param {{ x: number, y: number }} at points of `home` */
  show(lines, { x, y }) {
    this.box.replaceChildren(...lines.map((text, i) => this.kit.element(i ? "div" : "strong", { text })));
    this.box.hidden = false;
    const { offsetWidth: w, offsetHeight: h } = this.box;
    const [width, height] = [this.home.clientWidth, this.home.clientHeight];
    this.box.style.left = `${Math.max(0, x + 14 + w <= width ? x + 14 : Math.min(x - 14 - w, width - w))}px`;
    this.box.style.top = `${Math.max(0, y + 18 + h <= height ? y + 18 : y - 12 - h)}px`;
  }
}

/**
 * Buttons that remove a pinned feature or the choice of proteins; none where there is nothing to remove.
 * @param {any} kit @param {any} link @param {import("../kit/bundle.js").Bundle | null} bundle @param {HTMLElement} home
 * @param {HTMLElement} next where the focus goes when a button has gone
 */
export function chips(kit, link, bundle, home, next) {
  const pinned = link.get("pinned");
  const chosen = link.get("accessions").length;
  const named = bundle?.record.pinned ?? [];
  const key = JSON.stringify([pinned, chosen, named]);
  if (home.dataset.key === key) return; // so that the focus stays
  home.dataset.key = key;
  const made = pinned.map((/** @type {number} */ feature) => {
    const best = named.find((/** @type {any} */ p) => p.feature === feature)?.best;
    const rest = pinned.filter((/** @type {number} */ other) => other !== feature);
    return chip(kit, best ? `feature ${feature}: ${best.concept}` : `feature ${feature}`, () => link.set({ pinned: rest }), next);
  });
  const said = chosen === 1 ? "1 chosen protein" : `${chosen} chosen proteins`;
  if (chosen) made.push(chip(kit, said, () => link.set({ accessions: [] }), next));
  home.replaceChildren(...made);
  home.hidden = made.length === 0;
}

/** @param {any} kit @param {string} text @param {() => void} remove @param {HTMLElement} next */
function chip(kit, text, remove, next) {
  const parts = [kit.element("span", { text }), kit.element("span", { text: "×", "aria-hidden": "true" })];
  const made = kit.element("button", { type: "button", "aria-label": `Remove ${text}`, title: `Remove ${text}` }, parts);
  made.addEventListener("click", () => {
    remove();
    next.focus();
  });
  return made;
}

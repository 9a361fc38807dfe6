// @ts-check
// The label next to the pointer, and the buttons that take away what was added: pinned features,
// chosen proteins.

import { conceptName } from "../kit/concept_names.js";
import { fixed } from "../kit/scales.js";
import { activationWords } from "../kit/words.js";
import { spansAt, spanWords } from "./words.js";

/** @import { Bundle, Kit, Link } from "../kit/types.js" */

const MOST = 6; // annotations in the label

/**
 * What the pointer is on, in lines.
 * @param {Bundle} bundle
 * @param {{ place: number, position: number | null }} hit
 * @param {number[]} strips pinned features, by their numbers in the bundle
 */
export function labelLines(bundle, { place, position }, strips) {
  const protein = bundle.proteins[place];
  const head = [protein.accession, protein.name].filter(Boolean).join(" ");
  if (position === null)
    return [head, `${protein.sequence.length} residues, maximum ${fixed(protein.maximum)}`];
  const others = strips.map((which) => {
    const value = bundle.values(place, which)[position - 1];
    return `feature ${bundle.record.pinned[which - 1].feature}: ${activationWords(value)}`;
  });
  const spans = spansAt(protein, position).map(spanWords);
  const more = spans.length > MOST ? [`and ${spans.length - MOST} more annotations`] : [];
  const value = bundle.values(place)[position - 1];
  const own = `${protein.sequence[position - 1]}${position}: ${activationWords(value)}`;
  return [head, own, ...others, ...spans.slice(0, MOST), ...more];
}

/**
 * Buttons that remove a pinned feature or the choice of proteins; none where there is nothing to
 * remove.
 * @param {Kit} kit
 * @param {Link} link
 * @param {Bundle | null} bundle
 * @param {HTMLElement} home
 * @param {HTMLElement} next where the focus goes when a button is removed
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
    return chip(
      kit,
      `feature ${feature}${best ? `: ${conceptName(best.concept, best.category)}` : ""}`,
      () => link.set({ pinned: rest }),
      next,
    );
  });
  const said = chosen === 1 ? "1 chosen protein" : `${chosen} chosen proteins`;
  if (chosen) made.push(chip(kit, said, () => link.set({ accessions: [] }), next));
  home.replaceChildren(...made);
  home.hidden = made.length === 0;
}

/** @param {Kit} kit @param {string} text @param {() => void} remove @param {HTMLElement} next */
function chip(kit, text, remove, next) {
  const parts = [
    kit.element("span", { text }),
    kit.element("span", { text: "×", "aria-hidden": "true" }),
  ];
  const made = kit.element(
    "button",
    { type: "button", "aria-label": `Remove ${text}`, title: `Remove ${text}` },
    parts,
  );
  made.addEventListener("click", () => {
    remove();
    next.focus();
  });
  return made;
}

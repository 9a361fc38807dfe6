// @ts-check
// Features that one mutation takes and gives, beside its two nulls.

import { fixed } from "../kit/scales.js";

/** @import { Kit, Store } from "../kit/types.js" */

/**
 * @typedef {object} Row
 * @property {number} feature
 * @property {string} place at the site, or elsewhere
 * @property {string} kind lost or gained
 * @property {number} change in shares of the maximum
 * @property {number} position
 * @property {number | null} p_site
 * @property {number | null} p_same
 */
/**
 * @typedef {{ sequence: string, mutation: string, sentence: string, features: Row[], n: number,
 *   least: number }} Nulls
 */

const HEADINGS = ["Feature", "Change", "Residue", "p, other letters here", "p, same elsewhere"];

/**
 * A button that asks for the nulls, and what came.
 * @param {Kit} kit
 * @param {{ nulls: () => void, select: (feature: number) => void,
 *   name: (feature: number) => string, signal: AbortSignal }} on
 */
export function nullsBox(kit, { nulls, select, name, signal }) {
  const make = kit.element;
  const hint = "Read all other substitutions here, and the same one at other residues";
  const go = make("button", { type: "button", text: "Lost and gained, with nulls", title: hint });
  go.addEventListener("click", nulls, { signal });
  const words = make("p", { class: "iplm-hint", role: "status" });
  const table = make("table", {});
  const scrolled = { tabindex: 0, role: "region", "aria-label": "Lost and gained features" };
  const found = make("div", { hidden: "" }, [
    words,
    make("div", { class: "iplm-scroll", ...scrolled }, [table]),
  ]);
  const root = make("div", { class: "iplm-nulls", hidden: "" }, [go, found]);
  const cell = (/** @type {string} */ text, /** @type {string} */ kind = "iplm-number") =>
    make("td", { class: kind, text });
  const row = (/** @type {Row} */ one) => {
    const sign = one.kind === "lost" ? "−" : "+";
    const press = make("button", { type: "button", text: name(one.feature) });
    press.addEventListener("click", () => select(one.feature), { signal });
    return make("tr", {}, [
      make("th", { scope: "row" }, [press]),
      cell(`${sign}${fixed(one.change)} ${one.kind}`),
      cell(`${one.position}, ${one.place}`),
      cell(one.p_site === null ? "–" : fixed(one.p_site)),
      cell(one.p_same === null ? "–" : fixed(one.p_same)),
    ]);
  };
  /**
   * @param {Nulls | null} came of this mutation @param {boolean} able one mutation, and a kernel
   */
  const update = (came, able) => {
    root.hidden = !able && !came;
    go.hidden = Boolean(came);
    go.disabled = !able;
    found.hidden = !came;
    if (!came) return;
    const listed = came.features.length;
    const which = listed < came.n ? `The ${listed} largest of ${came.n} are listed. ` : "";
    const least = `Lost and gained: a change of ${came.least} of the maximum or more. `;
    words.textContent = `${came.sentence} ${least}${which}`;
    const head = make("tr", {}, HEADINGS.map((text) => make("th", { scope: "col", text })));
    table.replaceChildren(make("thead", {}, [head]), make("tbody", {}, came.features.map(row)));
    table.hidden = listed === 0;
  };
  return { root, update };
}

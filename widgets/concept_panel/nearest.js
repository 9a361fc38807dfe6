// @ts-check
// The features that are most alike, or related, as buttons that select them.

import { conceptName } from "../kit/concept_names.js";

/** @import { Kit, Packed, View } from "../kit/types.js" */
/** @import { Words } from "./told.js" */

const KINDS = /** @type {Record<string, [string, string]>} */ ({
  decoder: ["by decoder", "cosine of their decoder vectors"],
  activation: ["by activation", "correlation of their activations"],
  concept: ["by concepts", "cosine of their F1 on each concept"],
  parent: ["parent", "of a smaller prefix; share of this feature's residues on which it fires"],
  children: ["children", "of a larger prefix; share of their residues on which this one fires"],
});

/**
 * A line for each kind.
 * @param {Kit} kit @param {View} view @param {Packed} table @param {Words["nearest"]} nearest
 * @returns {HTMLElement[]}
 */
export function nearestLines(kit, view, table, nearest) {
  const rows = new Map(Array.from(table.arrays.feature, (number, row) => [number, row]));
  const concept = (/** @type {number} */ feature) => {
    const place = table.arrays.concept?.[rows.get(feature) ?? -1] ?? -1;
    const name = table.record.concept?.[place];
    const category = table.record.category?.[table.arrays.category[rows.get(feature) ?? -1]];
    return name ? conceptName(name, category ?? "") : "no concept";
  };
  const button = (/** @type {[number, number]} */ [feature, similarity]) => {
    const made = kit.element("button", {
      type: "button",
      title: `${concept(feature)}. Press to select feature ${feature}`,
    });
    made.append(
      kit.element("b", { text: String(feature) }),
      kit.element("span", { text: ` ${kit.fixed(similarity)}` }),
    );
    made.addEventListener("click", () => view.link.set({ feature, brush: [] }), {
      signal: view.signal,
    });
    return made;
  };
  return Object.entries(nearest ?? {})
    .filter(([, near]) => near.length)
    .map(([kind, near]) => {
      const [name, hint] = KINDS[kind] ?? [`by ${kind}`, ""];
      return kit.element("p", { class: "iplm-near", title: hint }, [
        kit.element("span", { text: name }),
        ...near.map(button),
      ]);
    });
}

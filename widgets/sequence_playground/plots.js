// @ts-check
// The three pictures of the playground: letters, features along them, a scan.

import { limitOf } from "./changes.js";
import { drawLetters } from "./letters.js";
import { drawScan } from "./scan.js";
import { drawStrips } from "./strips.js";

/**
 * Plots that draw what the playground holds; one point high while there is nothing.
 * @param {any} playground
 */
export function plotsOf(playground) {
  const { view, letterLayout, stripLayout, scanLayout } = playground;
  /**
   * @param {string} label
   * @param {"reading" | "scan"} needs
   * @param {any} layout
   * @param {any} paint
   */
  const plot = (label, needs, layout, paint) => {
    const height = (/** @type {number} */ width) => (playground[needs] ? layout(width).height : 1);
    const draw = (/** @type {any} */ surface, /** @type {number} */ width) => {
      if (playground[needs]) paint(playground, surface, width, layout(width));
    };
    return view.plot({ label, height, draw, role: "application" });
  };
  return {
    letters: plot("Sequence", "reading", letterLayout, paintLetters),
    strips: plot("Features", "reading", stripLayout, paintStrips),
    heat: plot("Substitutions", "scan", scanLayout, paintScan),
  };
}

/** @param {any} playground the colours of changes on this page */
function changeColours({ scales, view }) {
  return view.theme.dark ? scales.dark : scales.light;
}

/** @param {any} playground @param {any} surface @param {number} width @param {any} layout */
export function paintLetters(
  { reading, row, view, kit, position, hovered },
  surface,
  width,
  layout,
) {
  const changed = reading.record.mutations.map((/** @type {any} */ mutation) => mutation.position);
  const values = row < 0 ? null : reading.shown(row);
  const what = {
    layout,
    letters: reading.letters,
    values,
    brush: view.link.get("brush"),
    changed,
    chosen: position,
    hovered,
  };
  drawLetters(surface, view.theme, kit, what, width);
}

/** @param {any} playground @param {any} surface @param {number} _width @param {any} layout */
export function paintStrips(playground, surface, _width, layout) {
  const { reading, view, kit, position, hovered, cursor } = playground;
  const { categories } = view.store.about;
  const scale = { lut: changeColours(playground), limit: limitOf(reading.record.largest) };
  const feature = view.link.get("feature");
  drawStrips(surface, view.theme, kit, {
    layout,
    reading,
    feature,
    chosen: position,
    hovered,
    cursor,
    categories,
    ...scale,
  });
}

/** @param {any} playground @param {any} surface @param {number} _width @param {any} layout */
export function paintScan(playground, surface, _width, layout) {
  const { scan, reading, view, kit, about, tried } = playground;
  const now = reading?.letters[scan.record.position - 1] ?? "";
  const [lut, feature] = [changeColours(playground), view.link.get("feature")];
  drawScan(surface, view.theme, kit, {
    scan,
    layout,
    lut,
    cursor: tried,
    feature,
    threshold: about.changed,
    now,
  });
}

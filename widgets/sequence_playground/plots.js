// @ts-check
// The three pictures of the playground: letters, features along them, a scan.

import { limitOf } from "../kit/changes.js";
import { drawLetters } from "./letters.js";
import { drawScan } from "./scan.js";
import { drawStrips } from "./strips.js";

/** @import { Surface } from "../kit/types.js" */
/** @import { Playground } from "../sequence_playground.js" */
/** @import { LetterLayout } from "./letters.js" */
/** @import { Reading } from "./reading.js" */
/** @import { Scan, ScanLayout } from "./scan.js" */
/** @import { StripLayout } from "./strips.js" */

/**
 * Plots that draw what the playground holds; one point high while there is nothing.
 * @param {Playground} playground
 */
export function plotsOf(playground) {
  const { view, letterLayout, stripLayout, scanLayout } = playground;
  /**
   * @param {string} label
   * @param {"reading" | "scan"} needs
   * @param {(width: number) => any} layout
   * @param {(playground: Playground, surface: Surface, width: number, layout: any) => void} paint
   */
  const plot = (label, needs, layout, paint) => {
    const height = (/** @type {number} */ width) => (playground[needs] ? layout(width).height : 1);
    const draw = (/** @type {Surface} */ surface, /** @type {number} */ width) => {
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

/** @param {Playground} playground the colours of changes on this page */
function changeColours({ scales, view }) {
  return view.theme.dark ? scales.dark : scales.light;
}

/**
 * @param {Playground} playground
 * @param {Surface} surface
 * @param {number} width
 * @param {LetterLayout} layout
 */
export function paintLetters(playground, surface, width, layout) {
  const { row, view, kit, position, hovered } = playground;
  const reading = /** @type {Reading} */ (playground.reading);
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

/**
 * @param {Playground} playground
 * @param {Surface} surface
 * @param {number} _width
 * @param {StripLayout} layout
 */
export function paintStrips(playground, surface, _width, layout) {
  const { view, kit, position, hovered, cursor } = playground;
  const reading = /** @type {Reading} */ (playground.reading);
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

/**
 * @param {Playground} playground
 * @param {Surface} surface
 * @param {number} _width
 * @param {ScanLayout} layout
 */
export function paintScan(playground, surface, _width, layout) {
  const { reading, view, kit, about, tried } = playground;
  const scan = /** @type {Scan} */ (playground.scan);
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

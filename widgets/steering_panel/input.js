// @ts-check
// Mouse and keys on the heat maps and on the logos.

import { heatAt } from "./heat.js";
import { logoAt } from "./logos.js";

/** @import { Panel } from "../steering_panel.js" */

/** @param {Panel} panel */
export function listenTo(panel) {
  const { heat, logos, view } = panel;
  const { signal } = view;
  const under = (/** @type {MouseEvent} */ event) => {
    const { prediction } = panel;
    if (!prediction) return { position: null, letter: "" };
    const { x, y } = heat.at(event);
    const found = heatAt(panel.heatLayout(heat.width), prediction.n, x, y);
    if (!found) return { position: null, letter: "" };
    return { position: prediction.first + found.place, letter: prediction.rows[found.row] };
  };
  const column = (/** @type {MouseEvent} */ event) =>
    panel.prediction ? logoAt(panel.logosLayout(logos.width), logos.at(event).x) : null;
  heat.canvas.addEventListener(
    "pointermove",
    (event) => {
      const { position, letter } = under(event);
      panel.point(position, letter);
    },
    { signal },
  );
  logos.canvas.addEventListener("pointermove", (event) => panel.point(column(event), ""), {
    signal,
  });
  for (const { canvas } of [heat, logos]) {
    canvas.addEventListener("pointerleave", () => panel.point(null, ""), { signal });
    canvas.addEventListener("keydown", (event) => keyboard(panel, event), { signal });
    canvas.addEventListener("blur", () => panel.tryLetter(""), { signal });
  }
  heat.canvas.addEventListener("click", (event) => panel.choose(under(event).position), { signal });
  logos.canvas.addEventListener("click", (event) => panel.choose(column(event)), { signal });
}

/** @param {Panel} panel @param {KeyboardEvent} event */
function keyboard(panel, event) {
  const { prediction, chosen, letter } = panel;
  if (!prediction || event.ctrlKey || event.metaKey || event.altKey) return;
  const { first, last, rows } = prediction;
  const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
  const next = chosen === null ? prediction.most : chosen + (by ?? 0);
  const to = by === undefined ? { Home: first, End: last }[event.key] : next;
  const row = rows.indexOf(letter);
  const other = {
    ArrowDown: Math.min(rows.length - 1, row + 1),
    ArrowUp: row < 0 ? rows.length - 1 : row - 1,
  }[event.key];
  if (to !== undefined) panel.choose(Math.max(first, Math.min(last, to)));
  else if (other !== undefined) panel.tryLetter(rows[other] ?? "");
  else if (event.key === "Enter") panel.choose(prediction.most);
  else return;
  event.preventDefault();
}

// @ts-check
// What opens below a word among a view's tools.

/** @import { View } from "./types.js" */

/**
 * @param {View} frame
 * @param {{ kind: string, text: string, hint: string, stays?: boolean }} options `kind` is its
 *   class; `stays`: a choice leaves it open
 * @param {HTMLElement} items
 */
export function addMenu(frame, { kind, text, hint, stays = false }, items) {
  const head = document.createElement("summary");
  head.textContent = text;
  head.title = hint;
  head.setAttribute("aria-label", hint);
  const menu = document.createElement("details");
  menu.className = `iplm-menu ${kind}`;
  menu.append(head, items);
  closing(menu, head, frame.signal, stays);
  frame.tools.append(menu);
}

/**
 * A menu closes when something was chosen, when the focus leaves it, and at Escape.
 * @param {HTMLDetailsElement} menu @param {HTMLElement} head @param {AbortSignal} signal
 * @param {boolean} stays
 */
function closing(menu, head, signal, stays) {
  const left = (/** @type {FocusEvent} */ event) => {
    if (!menu.contains(/** @type {Node | null} */ (event.relatedTarget))) menu.open = false;
  };
  const chosen = (/** @type {Event} */ event) => {
    if (!head.contains(/** @type {Node} */ (event.target))) menu.open = false;
  };
  const escape = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.preventDefault(); // or it would clear the brush
    menu.open = false;
    head.focus();
  };
  menu.addEventListener("focusout", left, { signal });
  if (!stays) menu.addEventListener("click", chosen, { signal });
  menu.addEventListener("keydown", escape, { signal });
}

// @ts-check
// Weights that are not here, and the button that fetches them.

/** @import { Kit } from "./types.js" */

/**
 * What must be fetched before anything can be read, and the button that fetches it.
 * @param {Kit} kit @param {{ fetch: () => void, signal: AbortSignal }} on
 */
export function fetchBox(kit, { fetch, signal }) {
  const make = kit.element;
  const words = make("p", {});
  const go = make("button", { type: "button" });
  const licence = make("span", { class: "iplm-hint" });
  const parts = [words, make("div", { class: "iplm-asks" }, [go, licence])];
  const root = make(
    "div",
    { class: "iplm-fetch", role: "group", "aria-label": "Weights of the model", hidden: "" },
    parts,
  );
  go.addEventListener(
    "click",
    () => {
      if (go.getAttribute("aria-disabled") !== "true") fetch();
    },
    { signal },
  );
  /**
   * @param {{ text?: string, button?: string, licence?: string }} missing @param {boolean} busy
   * @returns {boolean} has the button gone that the focus was on?
   */
  const update = (missing, busy) => {
    const focused = root.getRootNode().activeElement === go;
    const before = root.hidden;
    root.hidden = !missing.text;
    words.textContent = missing.text ?? "";
    go.textContent = missing.button ?? "";
    go.setAttribute("aria-disabled", String(busy)); // not `disabled`, which would drop the focus
    licence.textContent = missing.licence ?? "";
    return focused && !before && root.hidden;
  };
  return { root, update };
}

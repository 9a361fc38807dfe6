// @ts-check
// The JavaScript half of `Selection`: the one thing that views share. They get it as `view.link`
// from the kit.

/** @import { Model } from "./kit/types.js" */

/** @typedef {{ accession: string, position: number }} Residue */

/** @param {any} a @param {any} b */
function same(a, b) {
  return a === b || JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}

/**
 * Reads and writes the fields; hover stays in the browser. Writes reach the kernel once per
 * animation frame at most, since a busy kernel would queue every one.
 */
export class Link {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    /** @type {Residue | null} */
    this.hover = null;
    /** @type {Set<() => void>} */
    this.hoverListeners = new Set();
    this.saving = 0;
  }

  /** @param {string} name */
  get(name) {
    return this.model.get(name);
  }

  /**
   * Sets the fields that differ, then tells each listener once.
   * @param {Record<string, any>} fields
   */
  set(fields) {
    const changed = Object.entries(fields).filter(
      ([name, value]) => !same(this.model.get(name), value),
    );
    if (changed.length === 0) return;
    for (const [name, value] of changed) this.model.set(name, value);
    this.saving ||= requestAnimationFrame(() => {
      this.saving = 0;
      this.model.save_changes();
    });
  }

  /**
   * @param {string[]} names fields, or "hover"
   * @param {() => void} listener called once for all changes of one task
   * @param {AbortSignal} signal
   */
  on(names, listener, signal) {
    if (signal.aborted) return; // a view that was closed while it was made
    let pending = false;
    const once = () => {
      if (pending) return;
      pending = true;
      queueMicrotask(() => {
        pending = false;
        if (!signal.aborted) listener();
      });
    };
    for (const name of names) {
      if (name === "hover") this.hoverListeners.add(once);
      else this.model.on(`change:${name}`, once);
    }
    signal.addEventListener("abort", () => {
      for (const name of names) this.model.off(`change:${name}`, once);
      this.hoverListeners.delete(once);
    });
  }

  /** @param {Residue | null} residue */
  setHover(residue) {
    if (same(this.hover, residue)) return;
    this.hover = residue;
    for (const listener of [...this.hoverListeners]) listener();
  }
}

/** @param {{ model: Model }} context */
function initialize({ model }) {
  return new Link(model);
}

export default { initialize };

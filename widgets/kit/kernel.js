// @ts-check
// Questions to the kernel and their state. Only a kernel has the model; a page without one shows
// what was read last.

/** @import { View } from "./types.js" */

const PATIENCE = 4000; // ms before it is said that no kernel answers

export class Kernel {
  /**
   * @param {View} view @param {() => void} changed
   * @param {{ needs: string, kept: string, again: string }} said on a page without a kernel: what
   *   needs the model, what the page shows, what the notebook could do
   */
  constructor(view, changed, said) {
    const { model } = view;
    this.said = said;
    this.model = model;
    this.changed = changed;
    /** @type {"idle" | "asked" | "silent"} */
    this.state = "idle";
    /** @type {number | null} ms from the last question to its answer */
    this.took = null;
    this.asked = 0;
    /** Questions without an answer yet. */
    this.open = 0;
    view.onModel(["progress", "problem"], () => this.heard(false));
    const told = (/** @type {any} */ content) => content?.done && this.heard(true);
    model.on("msg:custom", told);
    view.signal.addEventListener("abort", () => {
      clearTimeout(this.waiting);
      model.off("msg:custom", told);
    });
  }

  /** A page without a kernel. */
  get none() {
    return Boolean(this.model.static);
  }

  /** @param {Record<string, any>} question */
  ask(question) {
    if (this.none) return;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.silent(), PATIENCE);
    this.asked = performance.now();
    this.took = null;
    this.state = "asked";
    this.open += 1;
    try {
      this.model.send(question);
    } catch {
      // Jupyter throws if the kernel is gone
      this.silent();
    }
    this.changed();
  }

  silent() {
    clearTimeout(this.waiting);
    this.state = "silent";
    this.open = 0;
    this.changed();
  }

  /** @param {boolean} done */
  heard(done) {
    clearTimeout(this.waiting);
    if (done) this.open = Math.max(0, this.open - 1);
    if (done && !this.open && this.state === "asked") this.took = performance.now() - this.asked;
    if ((done && !this.open) || this.state === "silent") this.state = "idle";
    this.changed();
  }

  /**
   * Why nothing, or nothing new, is shown; empty: all is well.
   * @param {boolean} read is an answer on the page? @returns {{ text: string, kind: string }}
   */
  words(read) {
    const { model } = this;
    if (this.none) {
      const { needs, kept, again } = this.said;
      const shown = read ? ` It shows ${kept}.` : "";
      const text =
        `${needs} needs the model, and this page has no kernel.${shown} ` +
        `Run the notebook to ${again}.`;
      return { text, kind: "missing" };
    }
    if (model.get("progress")) return { text: `${model.get("progress")} …`, kind: "loading" };
    if (this.state === "silent") {
      const text =
        "No kernel answers: it is busy with another cell, or not running. Run the cell again.";
      return { text, kind: "missing" };
    }
    if (model.get("problem")) return { text: model.get("problem"), kind: "missing" };
    return { text: "", kind: "" };
  }
}

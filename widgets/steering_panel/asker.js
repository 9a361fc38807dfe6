// @ts-check
// Requests to the kernel: the newest alone counts. One is under way at a time; what was changed
// meanwhile is asked for once, when that one is over.

/** @import { Kernel } from "../kit/kernel.js" */

const REST = 60; // ms without a change before the kernel is asked

export class Asker {
  /** @param {Kernel} kernel @param {() => Record<string, any>} settings of the moment */
  constructor(kernel, settings) {
    this.kernel = kernel;
    this.settings = settings;
    // Another page may show the same panel: its requests have other numbers.
    this.wanted = Math.floor(Math.random() * 1e9);
    /** The request that the kernel works on, or 0. */
    this.flying = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** When the newest request was made. */
    this.since = 0;
  }

  /** Is an answer to the newest request still to come? */
  get waiting() {
    return this.timer !== undefined || this.flying > 0;
  }

  /** @param {number} [rest] ms */
  ask(rest = REST) {
    if (this.kernel.none) return;
    this.wanted += 1;
    this.since = performance.now();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), rest);
  }

  send() {
    if (this.flying) return; // `over` sends it
    this.timer = undefined;
    this.flying = this.wanted;
    this.kernel.ask({ steer: this.wanted, settings: this.settings() });
  }

  /** The kernel has answered, or does not answer. */
  over() {
    if (!this.flying) return;
    const newer = this.flying !== this.wanted;
    this.flying = 0;
    if (newer && this.kernel.state === "idle") {
      clearTimeout(this.timer);
      this.send();
    } else if (this.kernel.state === "silent") this.stop();
  }

  /** Wait for nothing: what comes is no longer wanted. */
  stop() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.flying = 0;
    this.wanted += 1;
  }

  /** Is this the answer to show? @param {number | null} request null: asked for in Python */
  fits(request) {
    return !this.waiting || request === this.wanted;
  }
}

// @ts-check
// A canvas that draws itself when it must: on a new width, theme or pixel ratio, and when asked,
// once per frame at most.

import { CanvasSurface } from "./surface.js";

/** @import { Surface, View } from "./types.js" */

/**
 * @typedef {object} Options
 * @property {string} label for screen readers
 * @property {number | ((width: number, room: number) => number)} height room: what a workbench
 *   gives, 0 elsewhere
 * @property {string} [role]
 * @property {boolean} [focusable]
 * @property {(surface: Surface, width: number, height: number) => void} draw
 */

export class Plot {
  /** @param {View} frame @param {Options} options */
  constructor(frame, { label, height, draw, role = "img", focusable = true }) {
    this.frame = frame;
    this.paint = draw;
    this.heightOf = typeof height === "function" ? height : () => height;
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", role);
    this.canvas.setAttribute("aria-label", label);
    if (focusable) this.canvas.tabIndex = 0;
    frame.body.append(this.canvas);
    this.width = 0;
    this.height = 0;
    this.room = 0;
    this.frames = 0;
    this.drawn = 0;
    const observer = new ResizeObserver(() => this.resize());
    observer.observe(frame.body);
    frame.signal.addEventListener("abort", () => observer.disconnect());
    frame.onTheme(() => this.redraw());
  }

  resize() {
    const width = Math.floor(this.frame.body.clientWidth);
    const { room } = this.frame;
    if (width && (width !== this.width || room !== this.room)) {
      [this.width, this.room] = [width, room];
      this.redraw();
    }
  }

  /** Draw in the next frame. */
  redraw() {
    this.frames ||= requestAnimationFrame(() => {
      this.frames = 0;
      this.draw();
    });
  }

  /** Draw now. */
  draw() {
    if (!this.width) return;
    this.height = Math.round(this.heightOf(this.width, this.room));
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(this.width * ratio), Math.round(this.height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) {
      [this.canvas.width, this.canvas.height] = [w, h];
      this.canvas.style.width = `${this.width}px`;
      this.canvas.style.height = `${this.height}px`;
    }
    const g = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, this.width, this.height);
    this.paint(new CanvasSurface(g), this.width, this.height);
    this.canvas.dataset.drawn = String(++this.drawn);
  }

  /** Where the pointer is, in points of the picture. @param {MouseEvent} event */
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }
}

// @ts-check
// What the mouse and the keyboard do on the map.

import { toward } from "./points.js";

/** @import { Atlas } from "../feature_atlas.js" */

const NEAR = 12; // points: a target of 24
const STILL = 4; // points that a click may move
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
export const STEP_IN = 1.5; // of a zoom key or button

/** Pan, zoom, lasso, click and hover; it says what was done, and draws nothing. */
export class Pointer {
  /**
   * @param {Atlas} atlas `plot`, `points`, `camera`, `lassoing`, `selected`, and `select(i)`,
   *   `lasso(path)`, `hover(i)`, `moved()`
   * @param {AbortSignal} signal
   */
  constructor(atlas, signal) {
    this.atlas = atlas;
    /** @type {{ x: number, y: number, moved: boolean } | null} where a drag began or went on */
    this.drag = null;
    /** @type {number[][]} the lasso, in points of the picture */
    this.path = [];
    const { canvas } = atlas.plot;
    /** @param {string} name @param {(event: any) => void} act @param {any} [options] */
    const on = (name, act, options = {}) =>
      canvas.addEventListener(name, act, { signal, ...options });
    on("pointerdown", (event) => this.down(event));
    on("pointermove", (event) => this.move(event));
    on("pointerup", (event) => this.up(event));
    on("pointercancel", () => this.stop());
    on("pointerleave", () => atlas.hover(-1));
    on("dblclick", () => this.whole());
    on("wheel", (event) => this.wheel(event), { passive: false });
    on("keydown", (event) => this.keyboard(event));
  }

  /** The point under the pointer, or -1. @param {{ x: number, y: number }} at */
  under(at) {
    const { points, camera } = this.atlas;
    const place = camera.from(at);
    return points.grid.nearest(place.x, place.y, NEAR / camera.scale);
  }

  /** @param {PointerEvent} event */
  down(event) {
    if (event.button !== 0) return;
    const at = this.atlas.plot.at(event);
    if (at.y > this.atlas.camera.height) return; // the scale
    this.atlas.plot.canvas.setPointerCapture(event.pointerId);
    this.drag = { ...at, moved: false };
    this.path = event.shiftKey || this.atlas.lassoing ? [[at.x, at.y]] : [];
  }

  /** @param {PointerEvent} event */
  move(event) {
    const at = this.atlas.plot.at(event);
    if (!this.drag) return this.atlas.hover(this.under(at));
    const [dx, dy] = [at.x - this.drag.x, at.y - this.drag.y];
    if (!this.drag.moved && Math.hypot(dx, dy) < STILL) return;
    if (this.path.length) this.path.push([at.x, at.y]);
    else this.atlas.camera.pan(dx, dy);
    this.drag = { ...at, moved: true };
    this.atlas.moved();
  }

  /** @param {PointerEvent} event */
  up(event) {
    const { drag, path } = this;
    this.stop();
    if (drag?.moved && path.length)
      return this.atlas.lasso(path.map(([x, y]) => this.atlas.camera.from({ x, y })));
    if (!drag || drag.moved) return;
    const found = this.under(this.atlas.plot.at(event));
    if (found >= 0) this.atlas.select(found);
  }

  stop() {
    this.drag = null;
    this.path = [];
    this.atlas.moved();
  }

  whole() {
    this.atlas.camera.reset();
    this.atlas.moved();
  }

  /** @param {number} factor @param {{ x: number, y: number }} [at] */
  zoom(factor, at) {
    this.atlas.camera.zoomBy(factor, at);
    this.atlas.moved();
  }

  /** Where nothing is left to zoom out of, the page scrolls on. @param {WheelEvent} event */
  wheel(event) {
    if (event.deltaY >= 0 && this.atlas.camera.zoom === 1) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    this.zoom(
      Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002)),
      this.atlas.plot.at(event),
    );
  }

  /** @param {KeyboardEvent} event */
  keyboard(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = /** @type {any} */ (KEYS)[event.key];
    if (direction) this.step(direction);
    else if (event.key === "+" || event.key === "=") this.zoom(STEP_IN);
    else if (event.key === "-") this.zoom(1 / STEP_IN);
    else if (event.key === "0") this.whole();
    else return;
    event.preventDefault();
  }

  /**
   * To the next feature in a direction; to the one in the middle where none is selected.
   * @param {number[]} direction
   */
  step(direction) {
    const { points, camera, selected } = this.atlas;
    if (selected < 0) return this.atlas.select(points.grid.nearest(camera.x, camera.y, Infinity));
    const found = toward(points, { x: points.x[selected], y: points.y[selected] }, direction);
    if (found >= 0) this.atlas.select(found);
  }
}

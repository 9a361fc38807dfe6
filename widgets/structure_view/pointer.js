// @ts-check
// Mouse, pen, fingers and wheel on a scene. The page keeps its scrolling: the wheel zooms where the
// scene has the focus, or with Ctrl.

/** @import { Picked, Scene } from "./scene.js" */

/**
 * @typedef {object} Heard notified of what is under the pointer
 * @property {(picked: Picked | null) => void} hovered
 * @property {(picked: Picked | null) => void} clicked
 */

const CLICK = 4; // points that a click may wander
const TURN = 12; // points that an arrow key moves
const ZOOM = 0.1;

/**
 * @param {HTMLElement} element
 * @param {Scene} scene
 * @param {Heard} on
 * @param {AbortSignal} signal
 */
export function followPointer(element, scene, on, signal) {
  const fingers = new Fingers(element, scene, on);
  const options = { signal };
  element.addEventListener("pointerdown", (e) => fingers.down(e), options);
  element.addEventListener("pointermove", (e) => fingers.move(e), options);
  element.addEventListener("pointerup", (e) => fingers.up(e), options);
  element.addEventListener("pointercancel", (e) => fingers.pressed.delete(e.pointerId), options);
  element.addEventListener("pointerleave", () => fingers.leave(), options);
  // the right button moves
  element.addEventListener("contextmenu", (e) => e.preventDefault(), options);
  element.addEventListener("wheel", (e) => wheel(element, scene, e), { signal, passive: false });
}

/**
 * @param {HTMLElement} element
 * @param {Scene} scene
 * @param {WheelEvent} event
 */
function wheel(element, scene, event) {
  if (!event.ctrlKey && !element.matches(":focus")) return;
  event.preventDefault();
  const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : 30);
  scene.zoom(Math.max(-0.3, Math.min(0.3, -pixels * 0.0012)));
}

class Fingers {
  /** @param {HTMLElement} element @param {Scene} scene @param {Heard} on */
  constructor(element, scene, on) {
    this.element = element;
    this.scene = scene;
    this.on = on;
    /** @type {Map<number, { x: number, y: number }>} */
    this.pressed = new Map();
    this.wandered = 0;
    this.picking = 0;
  }

  /** @param {PointerEvent} event */
  at(event) {
    const box = this.element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  /** @param {PointerEvent} event */
  down(event) {
    this.element.focus({ preventScroll: true });
    this.element.setPointerCapture(event.pointerId);
    this.pressed.set(event.pointerId, this.at(event));
    if (this.pressed.size === 1) this.wandered = 0;
    this.buttons = event.buttons;
  }

  /** @param {PointerEvent} event */
  move(event) {
    const before = this.pressed.get(event.pointerId);
    const here = this.at(event);
    if (!before) {
      this.hover(here);
      return;
    }
    const [dx, dy] = [here.x - before.x, here.y - before.y];
    this.wandered += Math.abs(dx) + Math.abs(dy);
    this.pressed.set(event.pointerId, here);
    if (this.wandered < CLICK) return;
    if (this.pressed.size === 2) this.pinch(event.pointerId, before, here);
    else if (event.shiftKey) this.scene.zoom(-dy * 0.01);
    else if (event.ctrlKey || event.buttons & 6) this.scene.pan(dx, dy);
    else this.scene.rotate(dx, dy);
  }

  /**
   * Two fingers zoom and move.
   * @param {number} id
   * @param {{ x: number, y: number }} before
   * @param {{ x: number, y: number }} here
   */
  pinch(id, before, here) {
    const other = [...this.pressed].find(([key]) => key !== id)?.[1] ?? here;
    const far = (/** @type {{ x: number, y: number }} */ p) =>
      Math.hypot(p.x - other.x, p.y - other.y);
    this.scene.zoom(1 - far(before) / Math.max(1, far(here)));
    this.scene.pan((here.x - before.x) / 2, (here.y - before.y) / 2);
  }

  /** @param {PointerEvent} event */
  up(event) {
    const { x, y } = this.at(event);
    const single = this.pressed.size === 1;
    this.pressed.delete(event.pointerId);
    if (single && this.wandered < CLICK && event.button === 0)
      this.on.clicked(this.scene.pick(x, y));
  }

  /** What is under the pointer, once per frame. @param {{ x: number, y: number }} here */
  hover(here) {
    this.here = here;
    this.picking ||= requestAnimationFrame(() => {
      this.picking = 0;
      if (this.here) this.on.hovered(this.scene.pick(this.here.x, this.here.y));
    });
  }

  leave() {
    this.here = undefined;
    this.on.hovered(null);
  }
}

/**
 * Keys that move the scene; false for others.
 * @param {KeyboardEvent} event @param {Scene} scene
 */
export function moveByKeyboard({ key, shiftKey }, scene) {
  const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[
    key
  ] ?? [0, 0];
  if (x || y) scene[shiftKey ? "pan" : "rotate"](x * TURN, y * TURN);
  else if (key === "+" || key === "=") scene.zoom(ZOOM);
  else if (key === "-" || key === "_") scene.zoom(-ZOOM);
  else if (key === "r") scene.reset();
  else return false;
  return true;
}

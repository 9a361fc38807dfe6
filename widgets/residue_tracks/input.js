// @ts-check
// Mouse, wheel and keys of the tracks. Vertical scrolling is the browser's own: at its ends the
// page scrolls on.

import { choose, hit, peak, step } from "./cursor.js";

/** @import { Tracks } from "../residue_tracks.js" */

const DRAG = 4; // points before a press is a drag
export const ZOOM = 1.5; // of a key or button

/** @param {Tracks} tracks */
export function listen(tracks) {
  const { canvas } = tracks.plot;
  const options = { signal: tracks.view.signal };
  /** @type {Drag} */
  const drag = { x: null, from: 0, moved: false };
  const on = (/** @type {string} */ name, /** @type {(event: any) => void} */ act) =>
    canvas.addEventListener(name, act, options);
  on("pointerdown", (event) => press(tracks, drag, event));
  on("pointermove", (event) => move(tracks, drag, event));
  on("pointerup", (event) => release(tracks, drag, event));
  on("pointercancel", () => (drag.x = null));
  on("pointerleave", () => tracks.point(null));
  on("keydown", (event) => keyboard(tracks, event));
  canvas.addEventListener("wheel", (/** @type {WheelEvent} */ event) => wheel(tracks, event), {
    ...options,
    passive: false,
  });
  tracks.scroller.addEventListener("scroll", () => tracks.scrolled(), options);
}

/** @typedef {{ x: number | null, from: number, moved: boolean }} Drag */

/** @param {Tracks} tracks @param {Drag} drag @param {PointerEvent} event */
function press(tracks, drag, event) {
  if (event.button === 0)
    Object.assign(drag, { x: tracks.plot.at(event).x, from: tracks.axis.from, moved: false });
}

/** @param {Tracks} tracks @param {Drag} drag @param {PointerEvent} event */
function move(tracks, drag, event) {
  const at = tracks.plot.at(event);
  if (drag.x === null) {
    tracks.point(event.pointerType === "touch" ? null : at);
    return;
  }
  if (!drag.moved && Math.abs(at.x - drag.x) < DRAG) return;
  if (!drag.moved) tracks.plot.canvas.setPointerCapture(event.pointerId);
  drag.moved = true;
  tracks.pan(drag.from - (at.x - drag.x) / tracks.axis.scale - tracks.axis.from);
}

/** @param {Tracks} tracks @param {Drag} drag @param {PointerEvent} event */
function release(tracks, drag, event) {
  const pressed = drag.x !== null;
  drag.x = null;
  if (pressed && !drag.moved) choose(tracks, hit(tracks, tracks.plot.at(event)));
}

/**
 * With Ctrl it zooms, sideways or with Shift it pans; the rest, and what leads nowhere, is the
 * page's.
 * @param {Tracks} tracks @param {WheelEvent} event
 */
function wheel(tracks, event) {
  if (event.ctrlKey) {
    event.preventDefault();
    tracks.zoom(
      Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.003)),
      tracks.plot.at(event).x - tracks.geometry.left,
    );
    return;
  }
  const level = Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : 0;
  const sideways = event.shiftKey ? event.deltaX || event.deltaY : level;
  if (sideways && tracks.pan((sideways * (event.deltaMode ? 16 : 1)) / tracks.axis.scale))
    event.preventDefault();
}

/** @param {Tracks} tracks @param {KeyboardEvent} event */
function keyboard(tracks, event) {
  if (event.key === "Escape") tracks.tip.hide(); // and the frame clears
  if (event.ctrlKey || event.metaKey || event.altKey || !tracks.rows.length) return;
  const act = { ...(event.shiftKey ? panKeys(tracks) : moveKeys(tracks)), ...zoomKeys(tracks) }[
    event.key
  ];
  if (!act) return;
  event.preventDefault();
  act();
}

/** @param {Tracks} tracks @returns {Record<string, () => void>} */
function panKeys(tracks) {
  const quarter = tracks.geometry.width / tracks.axis.scale / 4;
  return { ArrowLeft: () => tracks.pan(-quarter), ArrowRight: () => tracks.pan(quarter) };
}

/** @param {Tracks} tracks @returns {Record<string, () => void>} */
function zoomKeys(tracks) {
  const [closer, wider] = [() => tracks.zoom(ZOOM), () => tracks.zoom(1 / ZOOM)];
  const letters = { l: () => tracks.letters(), L: () => tracks.letters() };
  return { "+": closer, "=": closer, "-": wider, _: wider, 0: () => tracks.whole(), ...letters };
}

/** @param {Tracks} tracks @returns {Record<string, () => void>} */
function moveKeys(tracks) {
  const page = Math.max(
    1,
    Math.floor((tracks.geometry.bottom - tracks.geometry.top) / tracks.geometry.row),
  );
  return {
    ArrowLeft: () => step(tracks, 0, -1),
    ArrowRight: () => step(tracks, 0, 1),
    ArrowUp: () => step(tracks, -1, 0),
    ArrowDown: () => step(tracks, 1, 0),
    PageUp: () => step(tracks, -page, 0),
    PageDown: () => step(tracks, page, 0),
    Home: () => step(tracks, 0, -Infinity),
    End: () => step(tracks, 0, Infinity),
    Enter: () => peak(tracks),
  };
}

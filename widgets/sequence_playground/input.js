// @ts-check
// Mouse and keys on the letters, on the strips and on the scan.

import { letterAt, letterPlace } from "./letters.js";
import { scanAt } from "./scan.js";
import { itemAt, positionAt } from "./strips.js";

/** @import { Playground } from "../sequence_playground.js" */

/** @param {Playground} playground */
export function listenTo(playground) {
  const { letters, strips, heat, view } = playground;
  const { signal } = view;
  pointers(playground, letters.canvas, letterUnder, (_, event) =>
    playground.choose(letterUnder(playground, event)),
  );
  pointers(playground, strips.canvas, stripUnder, pressed);
  heat.canvas.addEventListener("click", (event) => playground.make(letterOf(playground, event)), {
    signal,
  });
  keyboard(playground, letters.canvas, letterKeyboard);
  keyboard(playground, strips.canvas, stripKeyboard);
  keyboard(playground, heat.canvas, scanKeyboard);
  strips.canvas.addEventListener("blur", () => playground.move(-1), { signal });
  heat.canvas.addEventListener("blur", () => playground.try(null), { signal });
  const escape = (/** @type {KeyboardEvent} */ event) =>
    event.key === "Escape" && playground.choose(null);
  view.root.addEventListener("keydown", escape, { signal });
}

/**
 * @param {Playground} playground
 * @param {HTMLCanvasElement} canvas
 * @param {(playground: Playground, event: MouseEvent) => number | null} under
 * @param {(playground: Playground, event: MouseEvent) => void} press
 */
function pointers(playground, canvas, under, press) {
  const { signal } = playground.view;
  canvas.addEventListener(
    "pointermove",
    (event) => playground.reading && playground.point(under(playground, event)),
    { signal },
  );
  canvas.addEventListener("pointerleave", () => playground.point(null), { signal });
  canvas.addEventListener("click", (event) => playground.reading && press(playground, event), {
    signal,
  });
}

/**
 * @param {Playground} playground @param {HTMLCanvasElement} canvas
 * @param {(playground: Playground, key: string) => boolean} act says whether it took the key
 */
function keyboard(playground, canvas, act) {
  canvas.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !playground.reading) return;
      if (act(playground, event.key)) event.preventDefault();
    },
    { signal: playground.view.signal },
  );
}

/** @param {Playground} playground @param {MouseEvent} event */
function letterUnder({ letters, letterLayout }, event) {
  const { x, y } = letters.at(event);
  return letterAt(letterLayout(letters.width), x, y);
}

/** @param {Playground} playground @param {MouseEvent} event */
function stripUnder({ reading, strips, stripLayout }, event) {
  return positionAt(stripLayout(strips.width), reading?.length ?? 0, strips.at(event).x);
}

/** @param {Playground} playground @param {MouseEvent} event */
function letterOf({ heat, scanLayout }, event) {
  return scanAt(scanLayout(heat.width), heat.at(event).y);
}

/**
 * A row selects its feature, its strip the residue too.
 * @param {Playground} playground
 * @param {MouseEvent} event
 */
function pressed(playground, event) {
  const item = itemAt(
    playground.stripLayout(playground.strips.width),
    playground.strips.at(event).y,
  );
  const position = stripUnder(playground, event);
  if (item) playground.view.link.set({ feature: item.feature });
  if (item && position) playground.choose(position);
}

/** @param {Playground} playground @param {string} key */
function letterKeyboard(playground, key) {
  const { reading, position, letters, letterLayout, about } = playground;
  if (!reading) return false;
  const { perLine } = letterLayout(letters.width);
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -perLine, ArrowDown: perLine }[key];
  const to =
    by !== undefined ? (position ? position + by : 1) : { Home: 1, End: reading.length }[key];
  const letter = key.length === 1 ? key.toUpperCase() : "";
  if (to !== undefined) playground.choose(to >= 1 && to <= reading.length ? to : (position ?? 1));
  else if (
    letter &&
    about.groups.some((/** @type {any} */ group) => group.letters.includes(letter))
  )
    playground.mutate(letter);
  else if ((key === "Backspace" || key === "Delete") && position)
    playground.mutate(reading.reference[position - 1]);
  else return false;
  return true;
}

/** @param {Playground} playground @param {string} key */
function stripKeyboard(playground, key) {
  const { items } = playground.stripLayout(playground.strips.width);
  const here = playground.cursor;
  const to = {
    ArrowDown: here + 1,
    ArrowUp: here < 0 ? items.length - 1 : here - 1,
    Home: 0,
    End: items.length - 1,
  }[key];
  if (to !== undefined) playground.move(Math.max(0, Math.min(items.length - 1, to)));
  else if ((key === "Enter" || key === " ") && items[here])
    playground.view.link.set({ feature: items[here].feature });
  else return false;
  return true;
}

/** @param {Playground} playground @param {string} key */
function scanKeyboard(playground, key) {
  if (!playground.scan) return false;
  const { order } = playground.scan;
  const here = playground.tried ? order.indexOf(playground.tried) : -1;
  const to = {
    ArrowDown: here + 1,
    ArrowUp: here < 0 ? order.length - 1 : here - 1,
    Home: 0,
    End: order.length - 1,
  }[key];
  if (to !== undefined) playground.try(order[Math.max(0, Math.min(order.length - 1, to))]);
  else if (key === "Enter" || key === " ") playground.make(playground.tried);
  else return false;
  return true;
}

/**
 * Scroll the letters until a residue is seen.
 * @param {HTMLElement} scroller
 * @param {import("./letters.js").LetterLayout} layout
 * @param {number} position
 */
export function scrollToLetter(scroller, layout, position) {
  const { y } = letterPlace(layout, position - 1);
  const { scrollTop, clientHeight } = scroller;
  if (y - 16 < scrollTop) scroller.scrollTop = y - 16;
  else if (y + 26 > scrollTop + clientHeight) scroller.scrollTop = y + 26 - clientHeight;
}

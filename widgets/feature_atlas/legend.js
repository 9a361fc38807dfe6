// @ts-check
// What the colours mean: buttons that choose the features of one colour, a scale for numbers, and
// both drawn for files.

import { BEYOND } from "../kit/colours.js";

/** @import { Kit, Surface, Theme, View } from "../kit/types.js" */

/** @typedef {import("./colouring.js").Group} Group */

const BUTTONS = 12; // groups beyond are in a list
const IN_FILE = 24;
const LINE = 16; // points, of the drawn legend
const COLUMN = 160;
export const SCALE_HEIGHT = 40;

/**
 * What a colour shared by several groups means; empty: no colour is shared.
 * @param {Group[]} groups that have a colour
 */
export function noteOn(groups) {
  if (groups.some(({ fill }) => fill === BEYOND))
    return "Grey: more categories than there are colours.";
  const repeat = new Set(groups.map(({ fill }) => fill)).size < groups.length;
  return repeat ? "Colours repeat: a name picks out its own features." : "";
}

/** Buttons, one per group; the smaller groups are options of a list. */
export class Legend {
  /** @param {View} view @param {(group: Group | null) => void} choose null: clear the choice */
  constructor(view, choose) {
    this.view = view;
    this.choose = choose;
    /** @type {Map<HTMLElement, Group>} */
    this.buttons = new Map();
    /** @type {Group[]} groups of the list */
    this.rest = [];
    this.list = view.kit.element("select");
    const label = "Colours; a button picks out the features of its colour";
    this.root = view.kit.element("div", {
      class: "iplm-legend",
      role: "group",
      "aria-label": label,
    });
  }

  /** @param {Group[] | null} groups null: a scale, which is drawn */
  show(groups) {
    const { element, count } = this.view.kit;
    const all = groups ?? [];
    this.root.hidden = all.length === 0;
    const named = all.filter((group) => group.fill);
    const shown = [...named.slice(0, BUTTONS), ...all.filter((group) => !group.fill)];
    const rest = named.slice(BUTTONS);
    this.buttons = new Map(shown.map((group) => [this.button(group), group]));
    this.list = element("select", { "aria-label": "Pick out a smaller group" }, [
      element("option", { value: "", text: `${rest.length} more…` }),
      ...rest.map((group, i) =>
        element("option", { value: i, text: `${group.name} (${count(group.points.length)})` }),
      ),
    ]);
    this.rest = rest;
    const pick = () => this.choose(this.list.value === "" ? null : rest[Number(this.list.value)]);
    this.list.addEventListener("change", pick, { signal: this.view.signal });
    const text = noteOn(named);
    const note = element("span", { class: "iplm-sub", text });
    this.root.replaceChildren(
      ...this.buttons.keys(),
      ...(rest.length ? [this.list] : []),
      ...(text ? [note] : []),
    );
  }

  /** @param {Group} group @returns {HTMLElement} */
  button(group) {
    const { element, count } = this.view.kit;
    const swatch = element("span", { class: "iplm-swatch", "aria-hidden": "true" });
    if (group.fill) swatch.style.background = group.fill;
    const name = element("span", { class: "iplm-name", text: group.name });
    const size = element("span", { class: "iplm-sub", text: count(group.points.length) });
    const made = element("button", { type: "button", "aria-pressed": "false", title: group.name }, [
      swatch,
      name,
      size,
    ]);
    const pick = () => this.choose(made.getAttribute("aria-pressed") === "true" ? null : group);
    made.addEventListener("click", pick, { signal: this.view.signal });
    return made;
  }

  /** Which group is picked out. @param {Group | null} group */
  press(group) {
    for (const [button, own] of this.buttons)
      button.setAttribute("aria-pressed", String(own === group));
    this.list.value = group && this.rest.includes(group) ? String(this.rest.indexOf(group)) : "";
  }
}

/**
 * A scale with its ends, its title and, where some points have no number, what hollow means.
 * @param {Surface} surface @param {Theme} theme @param {import("./colouring.js").Scale} scale
 * @param {number} y top @param {number} width @param {Kit} kit
 */
export function drawScale(surface, theme, scale, y, width, kit) {
  const style = { fill: theme.text, size: 10.5 };
  const [left, bar] = [10, Math.min(280, width - 20)];
  surface.text(left, y + 7, kit.fitted(scale.title, width - 20, 10.5), style);
  for (let i = 0; i < bar; i++)
    surface.rect(left + i, y + 15, 1.5, 9, theme.lut.css[kit.stepOf(i / (bar - 1))]);
  surface.frame(left, y + 15, bar, 9, theme.line);
  for (const value of marksOf(scale, kit)) {
    const at = left + scale.share(value) * bar;
    surface.line(at, y + 24, at, y + 27, theme.muted);
    surface.text(at, y + 33, String(value), {
      fill: theme.muted,
      size: 10,
      align: at < left + 12 ? "left" : "center",
    });
  }
  if (!scale.none || left + bar + 120 > width) return;
  surface.circle(left + bar + 22, y + 19.5, 3.5, "", theme.muted);
  surface.text(left + bar + 32, y + 19.5, scale.none, style);
}

/**
 * Round numbers within a scale.
 * @param {import("./colouring.js").Scale} scale
 * @param {Kit} kit
 * @returns {number[]}
 */
function marksOf({ low, high }, kit) {
  if (low === 0) return kit.ticks(low, high, 5);
  const powers = Array.from({ length: 12 }, (_, i) => Number(`1e${i - 11}`)).concat(1);
  return powers.filter((value) => value >= low * 0.999 && value <= high * 1.001);
}

/**
 * The groups that the legend of a file names: the largest, and the hollow one.
 * @param {Group[]} groups
 */
export function inFile(groups) {
  return [
    ...groups.filter((group) => group.fill).slice(0, IN_FILE),
    ...groups.filter((group) => !group.fill),
  ];
}

/** @param {number} width @param {number} n groups */
export function legendHeight(width, n) {
  return Math.ceil(n / Math.max(1, Math.floor((width - 10) / COLUMN))) * LINE + 6;
}

/**
 * The legend of a file, in columns.
 * @param {Surface} surface @param {Theme} theme @param {Group[]} groups
 * @param {number} y top @param {number} width @param {Kit} kit
 */
export function drawGroups(surface, theme, groups, y, width, kit) {
  const columns = Math.max(1, Math.floor((width - 10) / COLUMN));
  groups.forEach((group, i) => {
    const [left, line] = [14 + (i % columns) * COLUMN, y + 8 + Math.floor(i / columns) * LINE];
    surface.circle(left, line, 4, group.fill, group.fill ? theme.ground : theme.muted);
    const said = `${kit.fitted(group.name, COLUMN - 65, 10.5)} (${kit.count(group.points.length)})`;
    surface.text(left + 9, line, said, { fill: theme.text, size: 10.5 });
  });
}

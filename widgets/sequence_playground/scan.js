// @ts-check
// All substitutions of one residue: what each does to the features that change most, as a heat map.

import { changeBar, changeStep, limitOf, signed } from "../kit/changes.js";
import { AMINO_ACID } from "../kit/amino_acids.js";

/** @import { Kit, Lut, Packed, Surface, Theme } from "../kit/types.js" */

const ROW = 24;
const COLUMN = 38;
const WIDEST = 64;
const LEFT = 132;
const COUNT = 74; // column of counts
const TITLES = 40;

/**
 * @typedef {object} ScanRecord
 * @property {string} sequence
 * @property {number} position
 * @property {string} before the residue there
 * @property {string} letters the amino acids, in the order of `change`
 * @property {number[]} features
 * @property {(string | null)[]} labels
 * @property {number[]} n_changed per amino acid, of all features
 */
/**
 * @typedef {object} ScanLayout
 * @property {number} top
 * @property {number} left
 * @property {number} cell
 * @property {number} columns
 * @property {number} height
 * @property {string[]} order
 */

/** One scan: `change` of each amino acid (in the order of `record.letters`) x feature. */
export class Scan {
  /**
   * @param {Packed} packed
   * @param {{ name: string, letters: string }[]} groups
   */
  constructor({ record, arrays }, groups) {
    /** @type {ScanRecord} */
    this.record = record;
    /** @type {Float32Array} */
    this.change = arrays.change;
    this.order = groups.flatMap(({ letters }) => [...letters]);
    this.limit = limitOf(this.change.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
  }

  /** @param {string} letter @param {number} column */
  at(letter, column) {
    return this.change[this.record.letters.indexOf(letter) * this.record.features.length + column];
  }

  /** @param {string} letter */
  count(letter) {
    return this.record.n_changed[this.record.letters.indexOf(letter)];
  }

  /** @param {string} letter @param {number} threshold */
  words(letter, threshold) {
    const { before, position, features, labels } = this.record;
    if (letter === before) return `${before}${position} is the reference`;
    const changes = features.map((_, column) => this.at(letter, column));
    const most = changes.reduce(
      (best, value, i) => (Math.abs(value) > Math.abs(changes[best]) ? i : best),
      0,
    );
    const label = labels[most] ? ` (${labels[most]})` : "";
    const largest = features.length
      ? `; of those shown feature ${features[most]}${label} most, ${signed(changes[most])}`
      : "";
    const changed = `${this.count(letter)} features change by more than ${threshold}${largest}`;
    return `${before}${position}${letter} (${AMINO_ACID[letter]}): ${changed}; Enter makes it`;
  }
}

/** @param {Scan} scan @param {number} width points @param {number} [top] @returns {ScanLayout} */
export function scanLayout(scan, width, top = 0) {
  const left = width < 480 ? 26 : LEFT;
  const room = width - left - COUNT;
  const columns = Math.max(0, Math.min(scan.record.features.length, Math.floor(room / COLUMN)));
  const cell = columns ? Math.min(WIDEST, room / columns) : 0;
  return { top, left, cell, columns, height: TITLES + 20 * ROW + 30, order: scan.order };
}

/** The amino acid at a height, or null. @param {ScanLayout} layout @param {number} y */
export function scanAt(layout, y) {
  return layout.order[Math.floor((y - layout.top - TITLES) / ROW)] ?? null;
}

/**
 * @param {Surface} surface
 * @param {Theme} theme
 * @param {Kit} kit
 * @param {{ scan: Scan, layout: ScanLayout, lut: Lut, cursor: string | null, feature: number,
 *   threshold: number, now: string }} what
 */
export function drawScan(
  surface,
  theme,
  kit,
  { scan, layout, lut, cursor, feature, threshold, now },
) {
  const { top, left, cell, columns } = layout;
  const { features, before } = scan.record;
  const title = `Feature, by largest change (${columns} shown)`;
  surface.text(left, top + 9, kit.fitted(title, columns * cell, 10.5), {
    fill: theme.muted,
    size: 10.5,
  });
  surface.text(left + columns * cell + 8, top + 9, "features", { fill: theme.muted, size: 10.5 });
  surface.text(left + columns * cell + 8, top + 28, `over ${threshold}`, {
    fill: theme.muted,
    size: 10.5,
  });
  for (let c = 0; c < columns; c++) {
    const style = {
      fill: theme.text,
      size: 10.5,
      align: "center",
      weight: features[c] === feature ? 700 : 400,
    };
    surface.text(
      left + (c + 0.5) * cell,
      top + 28,
      String(features[c]),
      /** @type {any} */ (style),
    );
  }
  scan.order.forEach((letter, i) => {
    const y = top + TITLES + i * ROW;
    scanRow(surface, theme, { scan, layout, lut, letter, y });
    if (letter === now && letter !== before) surface.rect(0, y + 2, 3, ROW - 4, theme.accent);
    if (letter === cursor)
      surface.frame(0.5, y + 0.5, left + columns * cell + COUNT - 10, ROW - 1, theme.accent, 1);
  });
  const bar = Math.max(40, Math.min(120, left + columns * cell + COUNT - 244));
  changeBar(surface, theme, lut, scan.limit, 4, top + TITLES + 20 * ROW + 10, bar);
}

/**
 * @param {Surface} surface
 * @param {Theme} theme
 * @param {{ scan: Scan, layout: ScanLayout, lut: Lut, letter: string, y: number }} what
 */
function scanRow(surface, theme, { scan, layout, lut, letter, y }) {
  const { left, cell, columns } = layout;
  const middle = y + ROW / 2;
  surface.text(8, middle, letter, { fill: theme.text, size: 12, mono: true, weight: 600 });
  if (left > 40) surface.text(26, middle, AMINO_ACID[letter], { fill: theme.text, size: 10.5 });
  if (letter === scan.record.before)
    return surface.text(left, middle, "as in the reference", { fill: theme.muted, size: 10.5 });
  for (let c = 0; c < columns; c++) {
    const change = scan.at(letter, c);
    const step = changeStep(change, scan.limit);
    surface.rect(left + c * cell, y + 1, cell - 1, ROW - 2, lut.css[step]);
    if (Math.abs(change) < 0.005) continue;
    surface.text(left + (c + 0.5) * cell, middle, signed(change), {
      fill: lut.text[step],
      size: 10,
      align: "center",
    });
  }
  surface.text(left + columns * cell + 8, middle, String(scan.count(letter)), {
    fill: theme.text,
    size: 10.5,
  });
}

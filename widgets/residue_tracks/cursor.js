// @ts-check
// The residue that is pointed at, and the one that is selected: where they are, and how keys move
// them.

import { strongest } from "./cells.js";
import { rowAt, scrolledTo } from "./layout.js";

/** @import { Tracks } from "../residue_tracks.js" */

/**
 * A residue, or the name of its protein (null).
 * @typedef {object} Hit
 * @property {number} row
 * @property {number} place
 * @property {number | null} position
 */

/**
 * What is under a point of the picture. Where several residues share a pixel it is the strongest
 * of them.
 * @param {Tracks} tracks @param {{ x: number, y: number }} at
 * @returns {Hit | null}
 */
export function hit({ geometry: g, axis, rows, scroll, bundle }, { x, y }) {
  const row = rowAt(g, scroll, rows.length, y);
  if (row < 0) return null;
  const { place, shift } = rows[row];
  if (x < g.left) return { row, place, position: null };
  const values = bundle.values(place);
  const shared = axis.scale < 1;
  const first = Math.floor(axis.column(shared ? Math.floor(x - g.left) : x - g.left)) - shift;
  const last = shared ? Math.floor(axis.column(Math.floor(x - g.left) + 1)) + 1 - shift : first + 1;
  if (x >= g.left + g.width || last <= 0 || first >= values.length) return null;
  return {
    row,
    place,
    position: 1 + strongest(values, Math.max(0, first), Math.min(last, values.length)),
  };
}

/**
 * Select what was hit; of a name, its protein's maximum.
 * @param {Tracks} tracks
 * @param {Hit | null} at
 */
export function choose({ bundle, view }, at) {
  if (!at) return;
  const { accession, position } = bundle.proteins[at.place];
  view.link.set({ accession, position: at.position ?? position });
}

/** The row of the selected protein, or -1. @param {Tracks} tracks */
export function selectedRow({ bundle, rows, view }) {
  const place = bundle.place(view.link.get("accession"));
  return rows.findIndex((row) => row.place === place);
}

/**
 * Move by rows, keeping the column, and by positions; where nothing is selected, begin at the
 * maximum of the first row that is seen.
 * @param {Tracks} tracks @param {number} down @param {number} right
 */
export function step(tracks, down, right) {
  const { bundle, rows, view, geometry: g, scroll } = tracks;
  const from = selectedRow(tracks);
  if (from < 0) return peak(tracks, Math.min(rows.length - 1, Math.ceil(scroll / g.row)));
  const before = rows[from];
  const position = view.link.get("position") ?? bundle.proteins[before.place].position ?? 1;
  const after = rows[Math.max(0, Math.min(rows.length - 1, from + down))];
  const { accession, sequence } = bundle.proteins[after.place];
  const moved = position + before.shift - after.shift + right;
  view.link.set({ accession, position: Math.max(1, Math.min(sequence.length, moved)) });
}

/**
 * Select the maximum of a row, by default of the selected one or the first.
 * @param {Tracks} tracks
 * @param {number} [row]
 */
export function peak(tracks, row = Math.max(0, selectedRow(tracks))) {
  choose(tracks, { row, place: tracks.rows[row].place, position: null });
}

/**
 * Scroll to the selected protein, and to its residue if `across`, as far as is needed.
 * @param {Tracks} tracks @param {boolean} across
 */
export function reveal(tracks, across) {
  const row = selectedRow(tracks);
  if (row < 0) return;
  tracks.scroller.scrollTop = scrolledTo(tracks.geometry, tracks.scroll, row);
  tracks.scroll = tracks.scroller.scrollTop;
  const position = tracks.view.link.get("position");
  if (position && across) tracks.axis.reveal(position - 1 + tracks.rows[row].shift);
}

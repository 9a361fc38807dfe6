// @ts-check
// What the tracks say: of a residue, of what is shown and left out, and as a table.

import { conceptName } from "../kit/concept_names.js";
import { activationWords, rangeWords } from "../kit/words.js";

/** @import { Bundle, Protein } from "../kit/types.js" */

/** @typedef {import("../kit/bundle.js").Span} Span */

/**
 * A protein's annotations for drawing, the longest first, so that short ones lie above them.
 * @typedef {object} Spans
 * @property {Span[]} best
 * @property {Span[]} others
 */

/** @param {Span} a @param {Span} b */
function samePlace(a, b) {
  return (
    a.start === b.start && a.end === b.end && a.category === b.category && a.instance === b.instance
  );
}

/** Those that do not repeat another one under a wider concept, "..._any". @param {Span[]} spans */
function narrowest(spans) {
  const wide = (/** @type {Span} */ span) => span.concept === `${span.category}_any`;
  return spans.filter(
    (span) => !wide(span) || !spans.some((other) => other !== span && samePlace(span, other)),
  );
}

/**
 * The feature's best concept, and the rest.
 * @param {Protein} protein @param {string} concept the best one, or ""
 * @returns {Spans}
 */
export function spansOf({ spans }, concept) {
  const longest = (/** @type {Span} */ a, /** @type {Span} */ b) =>
    b.end - b.start - (a.end - a.start);
  const best = spans.filter((span) => span.concept === concept).sort(longest);
  const rest = spans.filter(
    (span) => span.concept !== concept && !best.some((b) => samePlace(span, b)),
  );
  return { best, others: narrowest(rest).sort(longest) };
}

/** The annotations of one residue. @param {Protein} protein @param {number} position */
export function spansAt({ spans }, position) {
  return narrowest(spans.filter((span) => span.start <= position && position <= span.end));
}

/** "Helix 5–12", "Active site 7". @param {Span} span */
export function spanWords({ concept, category, start, end }) {
  return `${conceptName(concept, category)} ${start === end ? start : `${start}–${end}`}`;
}

/**
 * One line about a residue.
 * @param {Bundle} bundle
 * @param {number} place
 * @param {number} position
 */
export function residueWords(bundle, place, position) {
  const protein = bundle.proteins[place];
  const letter = protein.sequence[position - 1];
  const spans = spansAt(protein, position).map(spanWords);
  const said = [activationWords(bundle.values(place)[position - 1]), ...spans].join("; ");
  return `${protein.accession} ${letter}${position}: ${said}.`;
}

/**
 * The selected protein and residue.
 * @param {Bundle} bundle @param {number} place of the protein, or -1 where it has no row
 * @param {string} accession
 * @param {number | null} position
 * @param {boolean} outside none of its residues is in the brush
 */
export function selectedWords(bundle, place, accession, position, outside) {
  if (!accession) return "";
  if (place < 0) return `${accession} is not among the proteins shown.`;
  const { length } = bundle.proteins[place].sequence;
  const said =
    position === null
      ? `${accession} is selected.`
      : position <= length
        ? residueWords(bundle, place, position)
        : `${accession} has ${length} residues, not ${position}.`;
  return outside ? `${said} It has no active residue in the brush.` : said;
}

/**
 * @typedef {object} State
 * @property {number} shown how many of `among` are rows
 * @property {number[]} among proteins that could be shown, by number
 * @property {boolean} chosen a person chose them
 * @property {number[]} brush
 * @property {(n: number) => string} count
 */

/**
 * What is shown, of how many.
 * @param {Bundle} bundle
 * @param {State} state
 */
export function shownWords(bundle, { shown, among, chosen, brush, count }) {
  const firing = bundle.record.n_firing;
  const loud = among.filter((place) => bundle.proteins[place].maximum > 0).length;
  const head = `feature ${bundle.feature}: showing`;
  if (brush.length) {
    const what = chosen ? "chosen proteins" : "proteins";
    const of = `${count(shown)} of ${count(among.length)} ${what}`;
    const within = `with residues in the brush ${rangeWords(brush)}`;
    return `${head} ${of}, ${within}; it fires in ${count(firing)} of the run`;
  }
  if (chosen) {
    const of = `${count(among.length)} chosen ${among.length === 1 ? "protein" : "proteins"}`;
    return `${head} ${of}; it fires in ${count(loud)} of these, and in ${count(firing)} of the run`;
  }
  const silent =
    among.length - loud ? `, and ${count(among.length - loud)} in which it is silent` : "";
  const sampled = loud < firing ? " (sampled evenly over strength)" : "";
  return `${head} ${count(loud)} of ${count(firing)} proteins in which it fires${sampled}${silent}`;
}

/**
 * What the brush leaves of the residues.
 * @param {number} within
 * @param {number} active
 * @param {number[]} brush
 * @param {(n: number) => string} count
 */
export function brushedWords(within, active, brush, count) {
  const of = `${count(within)} of ${count(active)} active residues of these proteins`;
  return `${of} are in the brush ${rangeWords(brush)}; others are faded.`;
}

/**
 * Residues of the rows, within the brush, as a table.
 * @param {Bundle} bundle @param {number[]} places @param {number[]} brush @param {number[]} strips
 */
export function tableOf(bundle, places, brush, strips) {
  const features = strips.map((which) => `feature_${bundle.record.pinned[which - 1].feature}`);
  /** @type {(string | number | null)[][]} */
  const rows = [["accession", "position", "letter", "activation", ...features, "annotations"]];
  for (const place of places) {
    const protein = bundle.proteins[place];
    bundle.values(place).forEach((value, i) => {
      if (brush.length && !(value >= brush[0] && value <= brush[1])) return;
      const others = strips.map((which) => rounded(bundle.values(place, which)[i]));
      const names = spansAt(protein, i + 1)
        .map((span) => span.concept)
        .join("; ");
      rows.push([protein.accession, i + 1, protein.sequence[i], rounded(value), ...others, names]);
    });
  }
  return rows;
}

/** Six digits: what a float32 holds. @param {number} value */
function rounded(value) {
  return Number(value.toPrecision(6));
}

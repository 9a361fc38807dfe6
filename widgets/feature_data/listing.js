// @ts-check
// Which features are listed, and the pair with a concept for which each of them is.
// `interplm_nb/widgets/listing.py` does the same.

import { conceptName } from "../kit/concept_names.js";

/** @import { Packed } from "../kit/types.js" */
/** @import { Common } from "./common.js" */

/**
 * `Selection.listed`.
 * @typedef {object} Listed
 * @property {string} [search]
 * @property {string} [category]
 * @property {number} [least_f1]
 * @property {boolean} [silent]
 * @property {number[]} [among]
 * @property {string} [why]
 */

/** @typedef {"note" | "comment" | "note_author" | "note_date"} OfNote as in `feature_list.py` */
/**
 * A person's note on a feature, without what is empty; `unsaved`: the session alone holds it.
 * @typedef {Partial<Record<OfNote, string>> & { unsaved?: boolean }} Note
 */

/**
 * What a search reads of the rows, in small letters, one below the other, and where each begins.
 * @typedef {{ text: string, starts: Uint32Array }} Told
 */

const OF_PAIR = ["validation_f1_per_domain", "f1_per_domain"];
const PAIR_NAMES = ["concept", "category"];
export const OF_NOTE = /** @type {(OfNote)[]} */ (
  /** @type {unknown} */ (["note", "comment", "note_author", "note_date"])
);
const TEXTS = ["note", "comment", "description", "motif_pattern"]; // that a search reads
const MOST_WORDS = 31; // of a search: a bit each
const BEFORE = 20; // letters of a text before the word that was found in it

/** @param {string} text @returns {string[]} */
export function wordsOf(text) {
  return text.toLowerCase().split(/\s+/).filter(Boolean);
}

const CRITERIA = /** @type {(keyof Listed)[]} */ (
  /** @type {unknown} */ (["search", "category", "least_f1", "silent", "among", "why"])
);

/** `listed` with changes, without what says nothing. @param {Listed} listed @param {Listed} changes
 * @returns {Listed} */
export function relisted(listed, changes) {
  /** @type {Record<string, any>} */
  const all = { ...listed, ...changes };
  const said = CRITERIA.filter((key) => (Array.isArray(all[key]) ? all[key].length : all[key]));
  return Object.fromEntries(said.map((key) => [key, all[key]]));
}

/** Are some of the features that fire left out? @param {Listed} listed */
export function narrows({ search, category, least_f1, among }) {
  return Boolean(search?.trim() || category || least_f1 || among?.length);
}

/** Listed features: rows of the table by number, and the pair of each. */
export class Shown {
  /**
   * @param {Listing} listing
   * @param {Int32Array} pair of each row of the table, -1: none
   * @param {number[]} rows
   * @param {Common | null} common what the chosen proteins have in common
   * @param {string[]} words of the search
   */
  constructor(listing, pair, rows, common, words) {
    this.table = listing.table;
    this.pairs = listing.pairs;
    this.listing = listing;
    this.pair = pair;
    this.rows = rows;
    this.common = common;
    this.words = words;
    this.features = new Set(rows.map((row) => this.table.arrays.feature[row]));
  }

  /** Is there such a column? @param {string} name */
  has(name) {
    const ofCommon = this.common !== null && name in this.common.columns;
    if (isOfNote(name)) return this.listing.notes.size > 0;
    return this.table.record.columns.includes(name) || name === "rank" || ofCommon;
  }

  /** The columns of a file: all but those of the chosen proteins. */
  get columns() {
    const ofNotes = this.listing.notes.size ? OF_NOTE : [];
    return [...this.table.record.columns, ...ofNotes, "rank"];
  }

  /** A number of a row, NaN if absent; of names, the place in the alphabet.
   * @param {string} name @param {number} row */
  value(name, row) {
    const [pair, { arrays, record }] = [this.pair[row], this.table];
    if (name === "rank") return pair < 0 ? NaN : this.listing.rank[pair];
    if (OF_PAIR.includes(name)) return pair < 0 ? NaN : this.pairs.arrays[name][pair];
    if (isOfNote(name)) return this.listing.noteAlphabet[name].get(this.name(name, row)) ?? NaN;
    if (name === "concept" || name === "category")
      return pair < 0 ? NaN : this.listing.alphabet[name][this.pairs.arrays.concept[pair]];
    if (this.common && name in this.common.columns)
      return this.common.columns[name][this.common.places.get(arrays.feature[row]) ?? -1] ?? NaN;
    const value = arrays[name][row];
    const isNumbered = Array.isArray(record[name]) || name === "cluster";
    return isNumbered && value < 0 ? NaN : value;
  }

  /** A name of a row as it is scored; undefined: the column has none there.
   * @param {string} name @param {number} row @returns {string | undefined} */
  name(name, row) {
    if (isOfNote(name)) return this.listing.notes.get(this.table.arrays.feature[row])?.[name];
    if (PAIR_NAMES.includes(name))
      return this.pairs.record[name][this.pairs.arrays.concept[this.pair[row]]];
    return this.table.record[name]?.[this.table.arrays[name][row]];
  }

  /** Is a column of names? @param {string} name */
  isNames(name) {
    const { record } = this.table;
    return PAIR_NAMES.includes(name) || isOfNote(name) || Array.isArray(record[name]);
  }

  /**
   * Of a row without a matching pair, the words in which the search was found; "" of any other.
   * @param {number} row
   */
  found(row) {
    if (this.pair[row] >= 0) return "";
    for (const name of TEXTS.filter((text) => this.has(text))) {
      const text = this.name(name, row) ?? "";
      const lower = text.toLowerCase();
      const word = this.words.find((one) => lower.includes(one));
      if (!word) continue;
      const at = lower.indexOf(word) - BEFORE;
      return at > 0 ? `“…${text.slice(at)}”` : `“${text}”`;
    }
    return "";
  }

  /**
   * Rows in the order of a column: stable, what is missing last.
   * @param {string} name @param {boolean} descending @returns {number[]}
   */
  ordered(name, descending) {
    const ties = { rank: "validation_f1_per_domain", p_count: "share" }[name];
    const values = new Float64Array(this.pair.length).fill(NaN);
    for (const row of this.rows) values[row] = this.value(name, row);
    const sign = descending ? -1 : 1;
    const tie = ties
      ? (/** @type {number} */ a, /** @type {number} */ b) =>
          sign * (this.value(ties, b) - this.value(ties, a))
      : () => 0;
    const there = this.rows
      .filter((row) => !Number.isNaN(values[row]))
      .sort((a, b) => sign * (values[a] - values[b]) || tie(a, b));
    return there.concat(this.rows.filter((row) => Number.isNaN(values[row])));
  }
}

/** @param {string} name @returns {name is OfNote} */
function isOfNote(name) {
  return /** @type {string[]} */ (OF_NOTE).includes(name);
}

/** All features and all scored pairs, best on validation first. */
export class Listing {
  /** @param {Packed} table the feature list @param {Packed} pairs */
  constructor(table, pairs) {
    this.table = table;
    this.pairs = pairs;
    const { feature, concept } = pairs.arrays;
    this.rowOf = new Map(Array.from(table.arrays.feature, (number, row) => [number, row]));
    /** @type {Int32Array} row of each pair's feature */
    this.row = Int32Array.from(feature, (number) => this.rowOf.get(number) ?? -1);
    /** @type {Uint32Array} a pair's place among those of its concept, from 1 */
    this.rank = new Uint32Array(feature.length);
    const counts = new Uint32Array(pairs.record.concept.length);
    for (let i = 0; i < feature.length; i++) this.rank[i] = ++counts[concept[i]];
    /** @type {string[]} what a search reads of each concept */
    this.texts = pairs.record.concept.map((/** @type {string} */ name, /** @type {number} */ c) => {
      const category = pairs.record.category[c];
      return [name, category, conceptName(name, category)].join("\n").toLowerCase();
    });
    this.alphabet = {
      concept: placesInAlphabet(pairs.record.concept),
      category: placesInAlphabet(pairs.record.category),
    };
    this.numbers = Array.from(table.arrays.feature, String);
    /** @type {Map<number, Note>} by feature */
    this.notes = new Map();
    /** @type {Record<OfNote, Map<string | undefined, number>>} */
    this.noteAlphabet = /** @type {any} */ ({});
    /** @type {Told | null} null: not yet requested */
    this.allTold = null;
    /** @type {{ key: string, common: Common | null, shown: Shown } | null} the list made last */
    this.last = null;
  }

  /** Take other notes. @param {Record<string, Note>} notes by feature */
  take(notes) {
    this.notes = new Map(Object.entries(notes).map(([feature, note]) => [Number(feature), note]));
    for (const name of OF_NOTE) {
      const texts = [...this.notes.values()].map((note) => note[name]).filter(Boolean);
      this.noteAlphabet[name] = new Map([...new Set(texts)].sort().map((text, i) => [text, i]));
    }
    this.allTold = this.last = null;
  }

  /** @returns {Told} */
  get told() {
    if (this.allTold) return this.allTold;
    const shown = new Shown(this, new Int32Array(this.numbers.length).fill(-1), [], null, []);
    const names = TEXTS.filter((name) => shown.has(name));
    const starts = new Uint32Array(this.numbers.length + 1);
    const texts = this.numbers.map((_, row) => {
      const text = names.map((name) => shown.name(name, row) ?? "").join("\n");
      const small = `${text.toLowerCase()}\n`;
      starts[row + 1] = starts[row] + small.length;
      return small;
    });
    this.allTold = { text: texts.join(""), starts };
    return this.allTold;
  }

  /** Categories of scored concepts, by name. @returns {string[]} */
  get categories() {
    return [...new Set(/** @type {string[]} */ (this.pairs.record.category))].sort();
  }

  /** Does a feature fire on training proteins? @param {number} row */
  isAlive(row) {
    const { maximum } = this.table.arrays;
    return !maximum || maximum[row] > 0;
  }

  /**
   * Views ask for the same list one after another, so that the last one is kept.
   * @param {Listed} listed
   * @param {Common | null} [common] its features alone are listed
   * @param {boolean} [byRank] the pair of the lowest rank, not of the highest F1 on validation
   * @returns {Shown}
   */
  list(listed, common = null, byRank = false) {
    const key = JSON.stringify([listed, byRank]);
    if (this.last?.key !== key || this.last.common !== common)
      this.last = { key, common, shown: this.listAnew(listed, common, byRank) };
    return this.last.shown;
  }

  /** @param {Listed} listed @param {Common | null} common @param {boolean} byRank */
  listAnew(listed, common, byRank) {
    const words = wordsOf(listed.search ?? "").slice(0, MOST_WORDS);
    const hits = this.hits(words);
    const needsPair = Boolean(listed.category || listed.least_f1);
    const pair = this.best(listed, hits, byRank);
    const among = listed.among?.length ? new Set(listed.among) : null;
    const { feature } = this.table.arrays;
    const rows = Array.from(feature.keys()).filter(
      (row) =>
        (pair[row] >= 0 || (!needsPair && hits.ofRow(row) === hits.whole)) &&
        (listed.silent || this.isAlive(row)) &&
        (!among || among.has(feature[row])) &&
        (!common || common.places.has(feature[row])),
    );
    return new Shown(this, pair, rows, common, words);
  }

  /**
   * Which words are in a concept's names, at the start of a feature's number, and in its texts: a
   * bit for each word.
   * @param {string[]} words
   */
  hits(words) {
    const n = this.numbers.length;
    const bits = (/** @type {(word: string) => boolean} */ test) =>
      words.reduce((sum, word, i) => sum + (test(word) ? 2 ** i : 0), 0);
    const ofConcept = Uint32Array.from(this.texts, (text) => bits((word) => text.includes(word)));
    const [ofNumber, ofText] = [new Uint32Array(n), new Uint32Array(n)];
    words.forEach((word, i) => {
      const { text, starts } = this.told;
      const bit = 2 ** i;
      let row = 0;
      for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, starts[row])) {
        while (starts[row + 1] <= at) row++;
        ofText[row++] |= bit;
      }
      if (!/^\d+$/.test(word)) return;
      for (let at = 0; at < n; at++) if (this.numbers[at].startsWith(word)) ofNumber[at] |= bit;
    });
    const whole = 2 ** words.length - 1;
    const ofRow = (/** @type {number} */ row) => ofNumber[row] | ofText[row];
    return { whole, ofConcept, ofNumber, ofText, ofRow };
  }

  /**
   * The best of each row's pairs that match, -1: no pair matches, or the row has none.
   * `listing.matching` in Python says which goes before which.
   * @param {Listed} listed
   * @param {ReturnType<Listing["hits"]>} hits
   * @param {boolean} byRank
   */
  best({ category, least_f1 }, { whole, ofConcept, ofNumber, ofText, ofRow }, byRank) {
    const { concept, f1_per_domain: f1 } = this.pairs.arrays;
    const least = Math.fround(least_f1 ?? 0); // as F1 is kept
    const pair = new Int32Array(this.numbers.length).fill(-1);
    const byNames = new Uint8Array(pair.length); // have names and number every word?
    for (let i = 0; i < concept.length; i++) {
      const [row, c] = [this.row[i], concept[i]];
      if (row < 0) continue;
      const own = ofConcept[c] | ofNumber[row];
      if ((own | ofText[row]) !== whole) continue;
      if (least && !(f1[i] >= least)) continue;
      if (category && this.pairs.record.category[c] !== category) continue;
      const isFirst = pair[row] < 0 || (own === whole && !byNames[row]);
      const isAlike = (own === whole) === Boolean(byNames[row]);
      if (isFirst || (isAlike && byRank && this.rank[i] < this.rank[pair[row]])) pair[row] = i;
      if (own === whole) byNames[row] = 1;
    }
    if (!category && !least)
      for (let row = 0; row < pair.length; row++)
        if (!byNames[row] && ofRow(row) === whole) pair[row] = -1;
    return pair;
  }
}

/** Place of each name among all, equal names alike. @param {string[]} names */
function placesInAlphabet(names) {
  const sorted = [...new Set(names)].sort();
  const places = new Map(sorted.map((name, i) => [name, i]));
  return names.map((name) => /** @type {number} */ (places.get(name)));
}

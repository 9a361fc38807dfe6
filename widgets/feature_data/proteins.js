// @ts-check
// The proteins of the run, for the search.

import { wordsOf } from "./listing.js";

/** @import { Packed } from "../kit/types.js" */

const LEAST = 2; // letters of a search from which proteins are looked for

export class Proteins {
  /** @param {Packed} packed `protein_list.py` */
  constructor({ record }) {
    this.n = record.n;
    /** @type {string[]} empty: they are too many to search here */
    this.accessions = record.accession ?? [];
    this.record = record;
    this.places = new Map(this.accessions.map((accession, i) => [accession, i]));
    const texts = ["accession", "name", "organism", "gene", "entry", "family"]
      .map((name) => record[name])
      .filter(Boolean);
    this.texts = this.accessions.map((_, i) =>
      texts
        .map((column) => column[i])
        .join("\n")
        .toLowerCase(),
    );
  }

  /** Those that have every word. @param {string} search @returns {number[]} */
  matching(search) {
    const words = wordsOf(search);
    if (words.join("").length < LEAST) return [];
    return Array.from(this.texts.keys()).filter((i) =>
      words.every((word) => this.texts[i].includes(word)),
    );
  }

  /** Numbers of accessions; null where one is not of this run. @param {string[]} accessions */
  numbers(accessions) {
    const numbers = accessions.map((accession) => this.places.get(accession) ?? -1);
    return numbers.includes(-1) ? null : numbers;
  }

  /** "P00044 Cytochrome c isoform 1, Saccharomyces". @param {number} i */
  said(i) {
    const { accession, name, organism } = this.record;
    return [accession[i], name?.[i], organism?.[i] && `(${organism[i]})`].filter(Boolean).join(" ");
  }
}

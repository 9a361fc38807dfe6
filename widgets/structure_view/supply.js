// @ts-check
// Which structure to show, and where its bytes are: with the selection, in the view, or kept in the
// page.

/** @import { Bundle, Kit, Packed, View } from "../kit/types.js" */

/** ms before the view says that no kernel answers */
export const PATIENCE = 4000;

/**
 * A shown protein whose structure is available here.
 * @typedef {object} Offer
 * @property {string} accession
 * @property {number} maximum
 */
/**
 * @typedef {object} Found
 * @property {string} accession what is wanted; empty: nothing
 * @property {Packed | null} packed its structure
 * @property {string} words why it is missing
 * @property {boolean} waiting it may still come
 */

export class Supply {
  /** @param {View} view the frame @param {Kit} kit */
  constructor(view, kit) {
    this.view = view;
    this.kit = kit;
    /** @type {Map<DataView, Promise<Packed>>} */
    this.read = new Map();
    /** @type {Packed | null} what was shown last */
    this.last = null;
  }

  /** A page without a kernel. */
  get alone() {
    return Boolean(this.view.store.model.static);
  }

  get kept() {
    return this.view.store.model.get("kept_structures") ?? {};
  }

  /** @param {DataView | null | undefined} bytes @returns {Promise<Packed | null>} */
  unpack(bytes) {
    if (!bytes?.byteLength) return Promise.resolve(null);
    const known = this.read.get(bytes);
    if (known) return known;
    if (this.read.size > 40) this.read.delete([...this.read.keys()][0]);
    const made = this.kit.unpack(bytes);
    this.read.set(bytes, made);
    return made;
  }

  /** @param {string} accession @returns {Promise<Packed | null>} */
  async get(accession) {
    const { store, model } = this.view;
    if (store.structure?.record.accession === accession) return store.structure;
    const sent = [model.get("first_structure"), store.model.get("structure")].map((bytes) =>
      this.unpack(bytes),
    );
    for (const packed of [this.last, ...(await Promise.all(sent))])
      if (packed?.record.accession === accession) return packed;
    return this.unpack(this.kept[accession]);
  }

  /**
   * The record of the superposed protein, with the one that it lies `on` and the fit; or null.
   */
  async pair() {
    const laid = await this.unpack(this.view.model.get("other_structure"));
    return laid && laid.record.accession === this.view.model.get("other") ? laid.record : null;
  }

  /** Shown proteins that have a structure, strongest first. @returns {Offer[]} */
  get withStructure() {
    return this.view.store.bundle?.proteins.filter((protein) => protein.structure) ?? [];
  }

  /** Their accessions; first the one on which the feature is shown. @returns {string[]} */
  get inOrder() {
    const first = this.view.store.bundle?.record.on_structure?.accession;
    const all = this.withStructure.map(({ accession }) => accession);
    return [...new Set(first ? [first, ...all] : all)];
  }

  /** Those of them whose structure can be had here. @returns {Promise<Offer[]>} */
  async offers() {
    if (!this.alone) return this.withStructure;
    const here = await Promise.all(
      this.withStructure.map(async ({ accession }) => Boolean(await this.get(accession))),
    );
    return this.withStructure.filter((_, i) => here[i]);
  }

  /** @returns {Promise<Found>} */
  async find() {
    const { link, store } = this.view;
    const chosen = link.get("accession");
    const pair = await this.pair();
    if (chosen) return this.chosen(chosen === pair?.accession ? pair.on : chosen);
    const { feature, proteins } = /** @type {Bundle} */ (store.bundle);
    if (this.withStructure.length === 0) {
      const all = `${proteins.length} proteins shown for feature ${feature}`;
      const words = `None of the ${all} has a structure. ${this.howTo("P00431")}`;
      return { accession: "", packed: null, words, waiting: false };
    }
    for (const accession of this.inOrder) {
      const packed = await this.get(accession);
      if (packed) return { accession, packed, words: "", waiting: false };
      if (!this.alone) return this.awaited(accession);
    }
    const words = `This page was saved without a structure of a protein of feature ${feature}.`;
    return { accession: "", packed: null, words, waiting: false };
  }

  /** @param {string} accession @returns {Promise<Found>} */
  async chosen(accession) {
    const packed = await this.get(accession);
    if (packed) return { accession, packed, words: "", waiting: false };
    if (!this.view.store.about.structures.includes(accession)) {
      const words = `${accession} has no structure here. ${this.howTo(accession)}`;
      return { accession, packed, words, waiting: false };
    }
    const words = `This page was saved without the structure of ${accession}.`;
    if (this.alone) return { accession, packed, words, waiting: false };
    return this.awaited(accession);
  }

  /** How to add a structure. @param {string} accession */
  howTo(accession) {
    const file = `put a file named by its accession, such as ${accession}.cif, into a folder`;
    const then = 'Workbench(run, structures="folder") shows it';
    return this.alone
      ? `Whoever made this page can add one: ${file}; ${then}.`
      : `To add one, ${file}; ${then}.`;
  }

  /** @param {string} accession @returns {Found} */
  awaited(accession) {
    const { model, store } = this.view;
    // the frame says it
    if (store.model.get("problem")) return { accession, packed: null, words: "", waiting: false };
    const problem = model.get("problem");
    if (problem.includes(`of ${accession} could`))
      return { accession, packed: null, words: problem, waiting: false };
    return {
      accession,
      packed: null,
      words: `Reading the structure of ${accession}`,
      waiting: true,
    };
  }

  /** What is said when nothing has come. @param {string} accession */
  static gone(accession) {
    const what = `the structure of ${accession}`;
    return `No kernel answers, so ${what} cannot be read. Run the notebook to see it.`;
  }
}

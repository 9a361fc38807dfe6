// @ts-check
// The JavaScript half of `ConceptPanel`.

import { conceptName } from "./kit/concept_names.js";
import { linksOf } from "./concept_panel/links.js";
import { nearestLines } from "./concept_panel/nearest.js";
import { Notes } from "./concept_panel/notes.js";
import { drawPanel, panelSize } from "./concept_panel/picture.js";
import { Scores } from "./concept_panel/scores.js";
import {
  describedBy,
  inShort,
  judgedWords,
  matchLines,
  motifLines,
  recognisedWords,
  statisticsLines,
} from "./concept_panel/told.js";
import { bestOf, endsOf, factsOf, honestly } from "./concept_panel/words.js";

/** @import { Bundle, Context, Kit, Packed, Protein, Surface, View } from "./kit/types.js" */
/** @import { Words } from "./concept_panel/told.js" */
/** @import { Row } from "./concept_panel/words.js" */

/** @param {Context} context */
async function render(context) {
  /** @type {Kit} */
  const kit = (await context.host.getWidget(context.model.get("kit"))).exports;
  const view = await kit.open(context, { title: "Concepts", kind: "concepts" });
  new ConceptPanel(kit, view, await view.store.table);
}

/** What the selected feature matches, how far above its controls, and the protein in focus. */
class ConceptPanel {
  /** @param {Kit} kit @param {View} view @param {Packed} table the packed feature list */
  constructor(kit, view, table) {
    this.kit = kit;
    this.view = view;
    this.table = table;
    const numbers = /** @type {Int32Array} */ (table.arrays.feature);
    this.rows = new Map(Array.from(numbers, (number, row) => [number, row]));
    this.scores = new Scores(kit, view, view.model.get("sources"));
    this.notes = new Notes(kit, view);
    this.parts = this.build();
    const draw = (/** @type {Surface} */ surface) =>
      drawPanel(
        kit,
        view,
        surface,
        this.scores,
        this.bundle?.feature ?? view.link.get("feature"),
        view.model.get("no_match"),
      );
    view.saves({
      ...kit.pictures(view, () => panelSize(this.scores), draw),
      csv: () => this.csv(),
    });
    view.store.on(() => this.changed(), view.signal);
    view.link.on(["accession"], () => this.showProtein(), view.signal);
    this.changed();
  }

  build() {
    const { element } = this.kit;
    const names = ["facts", "ends", "best", "honest", "lacking", "note"];
    const [facts, ends, best, honest, lacking, note] = names.map((name) =>
      element("p", { class: `iplm-${name}` }),
    );
    this.protein = element("div", { class: "iplm-protein" });
    const described = element("div", { class: "iplm-described" });
    const further = element("div", { class: "iplm-further" });
    this.view.body.append(
      described,
      this.notes.root,
      facts,
      ends,
      best,
      this.scores.root,
      this.scores.legend,
      honest,
      further,
      this.protein,
      lacking,
      note,
    );
    this.write(lacking, this.view.store.about.lacking);
    this.write(note, this.view.store.about.note);
    return { facts, ends, best, described, further, honest };
  }

  /** @param {HTMLElement} part @param {string} text empty: not shown */
  write(part, text) {
    part.textContent = text;
    part.hidden = !text;
  }

  /** Null before the first has arrived. @returns {Bundle} */
  get bundle() {
    return /** @type {Bundle} */ (this.view.store.bundle);
  }

  changed() {
    if (!this.bundle) return;
    const { record, feature } = this.bundle;
    const isNew = this.shown !== this.bundle;
    if (isNew) this.showFeature();
    if (isNew || this.noted !== this.view.store.notes) {
      /** @type {Words} */
      const { descriptions } = record.words;
      const said = descriptions.find(({ summary }) => summary);
      this.notes.show(feature, said?.summary ?? "");
    }
    this.noted = this.view.store.notes;
    this.showProtein();
  }

  showFeature() {
    const { kit, view, parts } = this;
    const { record, feature } = this.bundle;
    this.shown = this.bundle;
    const [best] = record.concepts;
    const { source, plm, layer, named_by } = view.store.about;
    const scored = named_by ? `; scores of run ${named_by}` : "";
    const of = `feature ${feature} of ${source} on ${plm}, layer ${layer}`;
    view.subtitle.textContent = `${of}${scored}`;
    const row = this.rows.get(feature);
    const maximum = row === undefined ? undefined : this.table.arrays.maximum?.[row];
    this.write(parts.facts, factsOf(kit, record, maximum));
    this.write(parts.ends, endsOf(this.table, view.store.about, row));
    parts.described.replaceChildren(...this.descriptions(record.words));
    parts.further.replaceChildren(...this.further(record.words));
    this.write(parts.best, best ? bestOf(kit, best) : view.model.get("no_match"));
    this.scores.show(record.concepts);
    const limits = best ? "Intervals and q values are of each concept's best feature alone." : "";
    this.write(
      parts.honest,
      `${honestly(kit, record.concepts, view.model.get("sources"))} ${limits}`.trim(),
    );
    const match = best
      ? `${conceptName(best.concept, best.category)}, F1 ${kit.fixed(best.f1_per_domain)} on test`
      : "no concept";
    view.say(`Feature ${feature}: ${match}`);
  }

  /** What describers say, each with its score. @param {Words} words @returns {HTMLElement[]} */
  descriptions({ descriptions, described }) {
    const { kit } = this;
    const small = (/** @type {string} */ text) =>
      kit.element("p", { class: "iplm-small", text });
    if (!descriptions.length && described)
      return [small(`Not among the ${kit.count(described)} features that were described.`)];
    return descriptions.flatMap((said) => {
      const how = [describedBy(kit, said), judgedWords(kit, said), recognisedWords(kit, said)];
      if (!said.summary) return [small(`${said.describer} has no description: ${said.failed}.`)];
      return [
        kit.element("p", { class: "iplm-summary", text: said.summary }),
        kit.element("details", {}, [
          kit.element("summary", { text: inShort(kit, said), title: "How it was made and judged" }),
          small(how.filter(Boolean).join(" ")),
          small(`Support: ${said.description}`),
        ]),
      ];
    });
  }

  /** Statistics, motif and features alike, each below its heading. @param {Words} words
   * @returns {HTMLElement[]} */
  further(words) {
    const { kit, view } = this;
    const { threshold } = view.store.about;
    const lines = (/** @type {string[]} */ texts) =>
      texts.map((text) => kit.element("p", { text }));
    /** @type {[string, HTMLElement[]][]} */
    const parts = [
      ["Statistics of the whole run", lines(statisticsLines(kit, words, threshold))],
      ["Motif", lines(motifLines(kit, words))],
      ["Nearest features", nearestLines(kit, view, this.table, words.nearest)],
      ["In the prefixes of the SAE", nearestLines(kit, view, this.table, words.family)],
      ["Most alike in other SAEs", lines(matchLines(kit, words, view.model.get("sources")))],
    ];
    return parts.flatMap(([heading, content]) =>
      content.length ? [kit.element("h4", { text: heading }), ...content] : [],
    );
  }

  /** The protein in focus: the selected one, or the strongest that the bundle holds. */
  showProtein() {
    if (!this.bundle) return;
    const chosen = this.view.link.get("accession");
    const { proteins } = this.bundle;
    const [first] = proteins;
    const protein = chosen
      ? proteins[this.bundle.place(chosen)]
      : first?.maximum > 0
        ? first
        : undefined;
    const accession = chosen || protein?.accession;
    this.protein.hidden = !accession;
    const role = chosen ? "Selected protein" : "Strongest protein here";
    if (accession) this.protein.replaceChildren(...this.proteinParts(accession, protein, role));
  }

  /**
   * @param {string} accession
   * @param {Protein | undefined} protein undefined: not in the bundle
   * @param {string} role
   */
  proteinParts(accession, protein, role) {
    const { element } = this.kit;
    const heading = element("h4", { text: `${role}: ${accession}` });
    const said = [protein?.name, protein?.organism, protein && this.height(protein)].filter(
      Boolean,
    );
    const links = linksOf(accession).map(({ text, title, href }) =>
      element("li", {}, [
        element("a", { href, title, text, target: "_blank", rel: "noopener noreferrer" }),
      ]),
    );
    const out = links.length
      ? [element("ul", { class: "iplm-out", "aria-label": `${accession} elsewhere` }, links)]
      : [];
    return [heading, ...said.map((text) => element("p", { text })), ...out];
  }

  /** @param {Protein} protein */
  height({ maximum, position, sequence }) {
    const n = this.kit.count(sequence.length);
    if (!(maximum > 0)) return `${n} residues, on none of them active.`;
    return `Highest at residue ${position} of ${n}, ${this.kit.fixed(maximum)} of the maximum.`;
  }

  /** @returns {(string | number | null)[][]} */
  csv() {
    const marked = this.scores.marked ?? [];
    /** @type {Exclude<keyof Row, "controls">[]} */
    const names = [
      "concept",
      "category",
      "threshold",
      "validation_f1_per_domain",
      "f1_per_domain",
      "low",
      "high",
      "q_value",
      "n_instances",
    ];
    const rows = this.scores.rows.map((row) => [
      row.feature,
      ...names.map((name) => row[name]),
      ...marked.map((name) => row.controls[name] ?? null),
    ]);
    return [["feature", ...names, ...marked.map((name) => `f1_test_${name}`)], ...rows];
  }
}

export default { initialize: () => ({ render }) };

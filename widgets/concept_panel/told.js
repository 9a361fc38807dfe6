// @ts-check
// What stages `features` and `interpret` say of a feature, in sentences. `feature_words.py` has the
// numbers.

/** @import { Kit } from "../kit/types.js" */

/**
 * @typedef {object} Score
 * @property {string} judge
 * @property {string} sees
 * @property {number} n proteins
 * @property {number | null} pearson null: the predictions are all equal, or failed
 * @property {number | null} pearson_low
 * @property {number | null} pearson_high
 * @property {string | null} failed
 */
/**
 * What a judge reaches without the description: of several others the median and their range.
 * @typedef {Pick<Score, "pearson" | "pearson_low" | "pearson_high"> & { of: number }} Baseline
 */
/**
 * @typedef {object} Description
 * @property {string} describer
 * @property {string} sees
 * @property {string | null} summary
 * @property {string | null} description
 * @property {number} n_examples
 * @property {string | null} failed
 * @property {Score | null} score
 * @property {Record<string, Baseline | null>} nulls
 * @property {{ score: string, n: number, accuracy: number, balanced_accuracy: number,
 *   chance: number }[]} told
 */
/**
 * @typedef {object} Words
 * @property {Description[]} descriptions
 * @property {number} described
 * @property {Record<string, any> | null} statistics
 * @property {Record<string, any> | null} motif
 * @property {boolean} tested
 * @property {{ known: string, kind: string, similarity: number, e_value: number }[]} known
 * @property {Record<string, [number, number][]> | null} nearest
 * @property {Record<string, [number, number][]>} family
 * @property {{ other: string, kind: string, match: number, similarity: number,
 *   ambiguity: number, by_chance: number }[]} matches
 */

/** Who said it, and its score with the null. @param {Kit} kit @param {Description} said */
export function inShort(kit, { describer, score, nulls }) {
  if (!score || score.failed) return `By ${describer}, not judged`;
  const other = nulls["another description"];
  const beside = other ? `; ${othersWords(other)} ${kit.fixed(other.pearson)}` : "";
  return `By ${describer}, r ${rOf(kit, score)}${beside}`;
}

/** Who said it, from how much. @param {Kit} kit @param {Description} said */
export function describedBy(kit, { describer, sees, n_examples }) {
  const who = describer === "statistical" ? "statistical, without a language model," : describer;
  const blind = sees === "sequence" ? ", from sequences alone" : "";
  return `Described by ${who} from ${kit.count(n_examples)} proteins${blind}.`;
}

/** How well it predicts, with the nulls; "": nobody judged. @param {Kit} kit
 * @param {Description} said */
export function judgedWords(kit, { score, nulls }) {
  if (!score) return "";
  if (score.failed) return `Not judged: ${score.failed}.`;
  const judge = score.judge === "ridge" ? "a ridge regression" : score.judge;
  const where = `Judged by ${judge} on ${kit.count(score.n)} proteins that it was not made from`;
  if (score.pearson === null) return `${where}: it predicts the same for all, so it has no r.`;
  const other = nulls["another description"];
  const none = nulls["no description"];
  const beside = [
    ...(other ? [`with ${othersWords(other)} ${rOf(kit, other)}`] : []),
    ...(none ? [`without a description ${rOf(kit, none)}`] : []),
  ];
  const rest = beside.length ? `; ${beside.join(", ")}` : "";
  return `${where}: r ${rOf(kit, score)} of predicted and measured maxima${rest}.`;
}

/** @param {Baseline} other */
function othersWords({ of }) {
  return of > 1 ? `other features' descriptions (${of})` : "another feature's description";
}

/** @param {Kit} kit @param {Pick<Baseline, "pearson" | "pearson_low" | "pearson_high"> &
 *   { of?: number }} score */
function rOf(kit, { pearson, pearson_low, pearson_high, of = 1 }) {
  if (pearson === null) return "none";
  const kind = of > 1 ? "median; " : "95\u00a0% ";
  const range =
    pearson_low === null
      ? ""
      : ` (${kind}${kit.fixed(pearson_low)} to ${kit.fixed(pearson_high)})`;
  return `${kit.fixed(pearson)}${range}`;
}

/**
 * How well excerpts are recognised; "": nobody asked.
 * @param {Kit} kit @param {Description} said
 */
export function recognisedWords(kit, { told }) {
  if (!told.length) return "";
  const one = (/** @type {Description["told"][number]} */ t) =>
    `${t.score} ${kit.fixed(t.score === "intruder" ? t.accuracy : t.balanced_accuracy)} ` +
    `(chance ${kit.fixed(t.chance)})`;
  return `Excerpts recognised: ${told.map(one).join(", ")}.`;
}

/** How often, where and how along the chain. @param {Kit} kit @param {Words} words
 * @param {number | null} threshold of the stage, where it is known @returns {string[]} */
export function statisticsLines(kit, { statistics: s }, threshold) {
  if (!s) return [];
  if (s.density_class === "silent") return ["It is never above the threshold of the stage."];
  const above =
    threshold === null ? "the threshold of the stage" : `${threshold} of its maximum`;
  return [
    `${capital(s.density_class)}: above ${above} on ${kit.percent(s.density)} of residues, in ` +
      `${kit.percent(s.protein_frequency)} of proteins; there on ` +
      `${kit.percent(s.share_when_present)} of the protein. Median ${kit.fixed(s.quantile_50)} ` +
      `of the maximum, 95th percentile ${kit.fixed(s.quantile_95)}.`,
    `Over proteins: ${kit.fixed(s.protein_entropy, 1)} bits, as if spread evenly over ` +
      `${kit.count(2 ** s.protein_entropy)} of them.`,
    `Amino acids: ${kit.fixed(s.amino_acid_information)} bits beyond the composition; ` +
      `${kit.percent(s.top_amino_acid_share)} of the activation falls on ${s.top_amino_acid}.`,
    `Along the chain: ${s.shape}; stretches of ${kit.fixed(s.mean_run, 1)} residues on average, ` +
      `at most ${kit.count(s.longest_run)}` +
      (s.shape === "periodic"
        ? `; period ${s.period} residues (strength ${kit.fixed(s.period_strength)})`
        : "") +
      ".",
  ];
}

/** The letters around its maxima. @param {Kit} kit @param {Words} words @returns {string[]} */
export function motifLines(kit, { motif: m, tested, known }) {
  if (!tested) return [];
  if (!m) return ["No motif was looked for: it has fewer than 10 strong maxima on train."];
  const bits =
    `${kit.fixed(m.information, 1)} bits over ${kit.count(m.n_sites)} maxima on train ` +
    `(by chance ${kit.fixed(m.information_by_chance, 1)}; q ${qWords(m.q_motif)})`;
  if (!m.pattern) return [`No pattern: ${bits}; consensus ${m.consensus}.`];
  const lines = [`${m.pattern}, from ${offset(m.pattern_offset)}: ${bits}.`];
  const recall = m.held_out_sites
    ? `it holds at ${kit.percent(m.pattern_recall)} of ${kit.count(m.held_out_sites)} maxima`
    : "there is no strong maximum";
  const precision = m.held_out_matches
    ? `of ${kit.count(m.held_out_matches)} matches ${kit.percent(m.pattern_precision)} are ` +
      `active (by chance ${kit.percent(m.precision_by_chance)})`
    : "it matches nowhere";
  lines.push(`On test ${recall}; ${precision}.`);
  if (known.length) {
    const one = known.map(({ known: name, e_value }) => `${name} (E ${e_value.toPrecision(2)})`);
    lines.push(`Known motifs alike: ${one.join(", ")}.`);
  }
  return lines;
}

/**
 * What is most like it in other SAEs, controls among them.
 * @param {Kit} kit @param {Words} words @param {Record<string, { name: string }>} sources
 * @returns {string[]}
 */
export function matchLines(kit, { matches }, sources) {
  return matches.map(
    (m) =>
      `In ${sources[m.other]?.name ?? m.other}, by ${m.kind}: feature ${m.match}, ` +
      `${kit.fixed(m.similarity)} (ambiguity ${kit.fixed(m.ambiguity)}, by chance ` +
      `${kit.percent(m.by_chance)}).`,
  );
}

/** @param {number} from of the maximum */
function offset(from) {
  if (from === 0) return "the maximum";
  return `${Math.abs(from)} ${from < 0 ? "before" : "after"} the maximum`;
}

/** @param {number} q */
function qWords(q) {
  return q < 0.001 ? "< 0.001" : String(Number(q.toPrecision(2)));
}

/** @param {string} word */
function capital(word) {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

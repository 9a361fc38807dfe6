// @ts-check
// The selection in the address of an exported page, or of the app; `Selection.fragment` and
// `Selection.from_fragment` in Python do the same.

/** @import { Model } from "../kit/types.js" */

/** @typedef {{ n_features: number, categories: Record<string, string> }} About the data */

const PAUSE = 200; // ms: browsers take few changes of an address in a second

/** What a link that names some fields says of the others. */
const REST = { accession: "", position: null, brush: [], accessions: [], pinned: [], listed: {} };

/** @param {string} text a number from 0 @returns {number | undefined} */
const whole = (text) => (/^\d{1,9}$/.test(text) ? Number(text) : undefined);

/** @param {string} text @returns {number[] | undefined} */
function wholes(text) {
  const numbers = text.split(",").map(whole);
  return numbers.includes(undefined) ? undefined : /** @type {number[]} */ (numbers);
}

/** @param {string} text "lo,hi" @returns {number[] | undefined} */
function range(text) {
  const [low, high, ...more] = text.split(",").map((part) => (part.trim() ? Number(part) : NaN));
  return low >= 0 && low <= high && high < Infinity && !more.length ? [low, high] : undefined;
}

/** @param {string} text a number from 0 to 1 @returns {number | undefined} */
function share(text) {
  const value = text.trim() ? Number(text) : NaN;
  return value > 0 && value <= 1 ? value : undefined;
}

const words = (/** @type {string} */ said) => said || undefined;

/** Fields that are numbers of features. */
const NUMBERED = new Set(["feature", "pinned", "among"]);

/** Fields of a link that are keys of `listed`. */
const LISTED = new Set(["search", "category", "least_f1", "silent", "among", "why"]);

/**
 * @type {Map<string, (text: string) => any>} how each field is read; undefined where it says
 *   nothing that it may hold
 */
const READ = new Map(
  Object.entries({
    search: words,
    category: words,
    why: words,
    least_f1: share,
    silent: (/** @type {string} */ said) => said === "true" || undefined,
    among: wholes,
    feature: whole,
    pinned: wholes,
    brush: range,
    position: (/** @type {string} */ text) => whole(text) || undefined,
    accession: (/** @type {string} */ text) => text,
    accessions: (/** @type {string} */ text) => text.split(","),
  }),
);

/**
 * The fields of a link. What cannot be is left out: anybody can write an address. Nothing of a link
 * to another source, whose features are others.
 * @param {string} hash with or without "#" @param {string} source of this page @param {About} about
 * @returns {Record<string, any>}
 */
export function fieldsOf(hash, source, about) {
  const said = [...new URLSearchParams(hash.replace(/^#/, ""))];
  if (said.some(([name, text]) => name === "source" && text !== source)) return {};
  const isKnown = (/** @type {any} */ name, /** @type {any} */ value) =>
    name === "category"
      ? Object.hasOwn(about.categories, value)
      : !NUMBERED.has(name) || [value].flat().every((feature) => feature < about.n_features);
  const read = said
    .map(([name, text]) => [name, READ.get(name)?.(text)])
    .filter(([name, value]) => value !== undefined && isKnown(name, value));
  if (!read.length) return {};
  const [listed, fields] = [true, false].map((isListed) =>
    Object.fromEntries(read.filter(([name]) => LISTED.has(String(name)) === isListed)),
  );
  return { ...REST, ...fields, listed };
}

/**
 * What a link says of the views: numbers from 0, and words that are allowed. What it does not say,
 * or may not, is as the page was saved.
 * @param {string} hash with or without "#"
 * @param {Record<string, { saved: any, values: any[] | null }>} linked by name
 * @returns {Record<string, any>}
 */
export function viewsOf(hash, linked) {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const read = Object.entries(linked).map(([name, { saved, values }]) => {
    const text = said.get(name) ?? "";
    const value = typeof saved === "number" && text.trim() ? Number(text) : text;
    const isAllowed = values ? values.includes(value) : Number(value) >= 0 && value !== "";
    return [name, isAllowed && value !== Infinity ? value : saved];
  });
  return Object.fromEntries(read);
}

/** @param {Record<string, any>} fields of a selection; empty ones are left out */
export function fragmentOf({ listed, ...fields }) {
  const said = Object.entries({ ...fields, ...listed }).filter(
    ([, value]) => value !== null && String(value) !== "",
  );
  return new URLSearchParams(said.map(([name, value]) => [name, String(value)]))
    .toString()
    .replaceAll("%2C", ",");
}

/**
 * Restore what the address says, now and whenever it changes, and keep in it what is seen.
 * @param {Model} selection
 * @param {About} about
 * @param {string[]} fields of the selection that a link holds
 * @param {Record<string, { of: Model, values: any[] | null }>} views traits that it holds besides
 *   them, by name
 * @param {AbortSignal} signal
 */
export function followAddress(selection, about, fields, views, signal) {
  const linked = Object.fromEntries(
    Object.entries(views).map(([name, { of, values }]) => [
      name,
      { of, values, saved: of.get(name) },
    ]),
  );
  const read = () => {
    const said = fieldsOf(location.hash, selection.get("source"), about);
    for (const [name, value] of Object.entries(said)) selection.set(name, value);
    if (Object.keys(said).length) selection.save_changes();
    for (const [name, value] of Object.entries(viewsOf(location.hash, linked))) {
      linked[name].of.set(name, value);
      linked[name].of.save_changes();
    }
  };
  read();
  addEventListener("hashchange", read, { signal });
  const write = () => {
    const chosen = fields.map((name) => [name, selection.get(name)]);
    const changed = Object.entries(linked)
      .map(([name, { of, saved }]) => [name, of.get(name), saved])
      .filter(([, value, saved]) => value !== saved);
    const hash = `#${fragmentOf(/** @type {any} */ (Object.fromEntries([...chosen, ...changed])))}`;
    // A page inside another (srcdoc) has no own address.
    if (location.protocol !== "about:" && location.hash !== hash)
      history.replaceState(null, "", hash);
  };
  let waiting = 0;
  const later = () => {
    clearTimeout(waiting);
    waiting = window.setTimeout(write, PAUSE);
  };
  const models = new Set([selection, ...Object.values(linked).map(({ of }) => of)]);
  for (const model of models) model.on("change", later);
  signal.addEventListener("abort", () => {
    clearTimeout(waiting);
    for (const model of models) model.off("change", later);
  });
}

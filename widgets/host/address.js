// @ts-check
// The selection in the address of an exported page; `Selection.fragment` and
// `Selection.from_fragment` in Python do the same.

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
 * @param {string} hash with or without "#" @param {string} source of this page
 * @returns {Record<string, any>}
 */
export function fieldsOf(hash, source) {
  const said = [...new URLSearchParams(hash.replace(/^#/, ""))];
  if (said.some(([name, text]) => name === "source" && text !== source)) return {};
  const read = said
    .map(([name, text]) => [name, READ.get(name)?.(text)])
    .filter(([, value]) => value !== undefined);
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

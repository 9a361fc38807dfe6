// @ts-check
// The selection in the address of an exported page; `Selection.fragment` and
// `Selection.from_fragment` in Python do the same.

/** What a link that names some fields says of the others. */
const REST = { accession: "", position: null, brush: [], accessions: [], pinned: [] };

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

/**
 * @type {Map<string, (text: string) => any>} how each field is read; undefined where it says
 *   nothing that it may hold
 */
const READ = new Map(
  Object.entries({
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
  return read.length ? { ...REST, ...Object.fromEntries(read) } : {};
}

/** @param {Record<string, any>} fields of a selection; empty ones are left out */
export function fragmentOf(fields) {
  const said = Object.entries(fields).filter(([, value]) => value !== null && String(value) !== "");
  return new URLSearchParams(said.map(([name, value]) => [name, String(value)]))
    .toString()
    .replaceAll("%2C", ",");
}

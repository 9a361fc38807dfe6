// @ts-check
// Axes: where ticks go and how numbers are written.

/**
 * About `count` round numbers that cover low to high.
 * @param {number} low
 * @param {number} high
 * @param {number} [count]
 * @returns {number[]}
 */
export function ticks(low, high, count = 5) {
  if (!(high > low)) return [low];
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough * 0.999) ?? rough;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)),
  );
}

/** Powers of ten from 1 to high. @param {number} high */
export function decades(high) {
  const n = Math.max(1, Math.ceil(Math.log10(Math.max(1, high))));
  return Array.from({ length: n + 1 }, (_, i) => 10 ** i);
}

/** 12,345. @param {number} n */
export function count(n) {
  return Math.round(n).toLocaleString("en-US");
}

/** 12k, 3.4M: for narrow axes. @param {number} n */
export function short(n) {
  const [size, letter] =
    n >= 1e9 ? [1e9, "G"] : n >= 1e6 ? [1e6, "M"] : n >= 1e3 ? [1e3, "k"] : [1, ""];
  return `${Number((n / size).toPrecision(3))}${letter}`;
}

/**
 * 0.1234 to two decimals, without a sign for 0; null and NaN as a dash.
 * @param {number | null | undefined} value
 * @param {number} [digits]
 */
export function fixed(value, digits = 2) {
  if (Number.isNaN(value ?? NaN)) return "–";
  const text = Number(value).toFixed(digits);
  return Number(text) === 0 ? (0).toFixed(digits) : text;
}

/** 0.0123 as 1.2 %. @param {number} share */
export function percent(share) {
  return `${Number((100 * share).toPrecision(2))} %`;
}

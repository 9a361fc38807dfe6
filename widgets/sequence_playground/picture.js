// @ts-check
// What is saved: letters, scan and strips below one another, and a table of the features.

import { paintLetters, paintScan, paintStrips } from "./plots.js";
import { written } from "./substitutions.js";
import { effectWords, nameWords } from "./words.js";

/** @import { Surface } from "../kit/types.js" */
/** @import { Playground } from "../sequence_playground.js" */
/** @import { Reading } from "./reading.js" */

const TITLE = 44;

/**
 * @param {Playground} playground
 * @returns {{ width: number, height: number, paint: (surface: Surface) => void }}
 */
function sheet(playground) {
  const { kit, view, scan, about } = playground;
  const reading = /** @type {Reading} */ (playground.reading);
  const { width } = playground.letters;
  const first = playground.letterLayout(width, TITLE);
  const second = scan ? playground.scanLayout(width, TITLE + first.height + 30) : null;
  const third = playground.stripLayout(
    width,
    TITLE + first.height + (second ? second.height + 40 : 10),
  );
  const paint = (/** @type {Surface} */ surface) => {
    const { text, muted } = view.theme;
    const title = `${nameWords(reading)}; letters: feature ${view.link.get("feature")}`;
    surface.text(2, 12, kit.fitted(title, width - 4, 13, 600), {
      fill: text,
      size: 13,
      weight: 600,
    });
    surface.text(2, 31, kit.fitted(effectWords(reading, about.changed), width - 4, 11), {
      fill: muted,
      size: 11,
    });
    paintLetters(playground, surface, width, first);
    if (second) {
      surface.text(4, second.top - 14, playground.scanWords(), {
        fill: text,
        size: 11,
        weight: 600,
      });
      paintScan(playground, surface, width, second);
    }
    paintStrips(playground, surface, width, third);
  };
  return { width, height: third.top + third.height + 4, paint };
}

/** PNG and SVG. @param {Playground} playground */
export function picturesOf(playground) {
  const made = () =>
    playground.reading ? sheet(playground) : { width: 1, height: 1, paint: () => {} };
  const size = () => [made().width, made().height];
  return playground.kit.pictures(playground.view, size, (/** @type {Surface} */ surface) =>
    made().paint(surface),
  );
}

/**
 * The features that are shown, one a row.
 * @param {import("./reading.js").Reading | null} reading @returns {(string | number | null)[][]}
 */
export function featureTable(reading) {
  const maxima = ["reference_maximum", "reference_position", "mutant_maximum", "mutant_position"];
  const changes = ["change", "change_position", "reference_there", "mutant_there"];
  const named = ["sequence", "mutations", "feature", "concept", "f1_per_domain"];
  const head = [...named, ...maxima, ...changes];
  if (!reading) return [head];
  const { name, mutations } = reading.record;
  const all = mutations.map(written).join(" ");
  return [
    head,
    ...reading.rows.map(({ feature, best, reference, mutant, change }) => [
      name,
      all,
      feature,
      best?.concept ?? null,
      rounded(best?.f1_per_domain),
      rounded(reference.maximum),
      reference.position,
      rounded(mutant?.maximum),
      mutant?.position ?? null,
      rounded(change?.change),
      change?.position ?? null,
      rounded(change?.reference),
      rounded(change?.mutant),
    ]),
  ];
}

/** Six digits, as many as a float32 has. @param {number | undefined} value */
function rounded(value) {
  return value === undefined ? null : Number(value.toPrecision(6));
}

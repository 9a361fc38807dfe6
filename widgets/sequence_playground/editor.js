// @ts-check
// What a person types and presses: the box for a sequence, the twenty amino acids, the mutations
// that were made.

import { AMINO_ACID } from "../kit/amino_acids.js";

/** @import { Kit } from "../kit/types.js" */

/** @typedef {{ accession: string, sequence: string }} Example */
/** @typedef {{ name: string, letters: string }} Group of amino acids */

const PLACEHOLDER = "A sequence in one-letter code, or FASTA";

/**
 * The box for a sequence.
 * @param {Kit} kit
 * @param {{ read: (text: string) => void, example: () => Example | null, signal: AbortSignal,
 *   limit: number }} on
 */
export function askBox(kit, { read, example, signal, limit }) {
  const id = `iplm-sequence-${Math.random().toString(36).slice(2)}`;
  const make = kit.element;
  const label = make("label", {
    for: id,
    text: `Protein sequence, at most ${limit.toLocaleString("en-US")} residues`,
  });
  const plain = { spellcheck: "false", autocapitalize: "characters", autocomplete: "off" };
  const box = make("textarea", { id, rows: 3, placeholder: PLACEHOLDER, ...plain });
  const go = make("button", {
    type: "button",
    text: "Read",
    title: "Read the sequence (Ctrl or Cmd and Enter)",
  });
  const use = make("button", { type: "button" });
  const hint = make("span", { class: "iplm-hint", text: "Ctrl or Cmd + Enter reads it" });
  const root = make("div", { class: "iplm-ask" }, [
    label,
    box,
    make("div", { class: "iplm-asks" }, [go, use, hint]),
  ]);
  box.addEventListener(
    "keydown",
    (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      event.stopPropagation(); // Jupyter would run the cell
      read(box.value);
    },
    { signal },
  );
  go.addEventListener("click", () => read(box.value), { signal });
  use.addEventListener(
    "click",
    () => {
      const protein = example();
      if (!protein) return;
      box.value = `>${protein.accession}\n${protein.sequence}`;
      read(box.value);
    },
    { signal },
  );
  const update = (/** @type {boolean} */ able) => {
    const protein = example();
    use.hidden = !protein;
    use.textContent = protein ? `Use ${protein.accession}` : "";
    for (const control of [box, go, use]) control.disabled = !able;
  };
  return { root, box, update };
}

/**
 * Buttons of the twenty amino acids, by chemistry.
 * @param {Kit} kit
 * @param {{ groups: Group[], mutate: (letter: string) => void, scan: () => void,
 *   signal: AbortSignal }} on
 */
export function residueEditor(kit, { groups, mutate, scan, signal }) {
  const make = kit.element;
  const words = make("p", { class: "iplm-here", role: "status" });
  /** @type {any[]} */
  const buttons = [];
  const sets = groups.map(({ name, letters }) => {
    const made = [...letters].map((letter) => {
      const button = make("button", { type: "button", text: letter, "data-letter": letter });
      button.addEventListener("click", () => mutate(letter), { signal });
      return button;
    });
    buttons.push(...made);
    const heading = make("span", { text: name, "aria-hidden": "true" });
    return make("div", { role: "group", "aria-label": name, class: "iplm-group" }, [
      heading,
      make("div", {}, made),
    ]);
  });
  const all = make("button", {
    type: "button",
    text: "Scan this residue",
    title: "Try all 19 other amino acids here",
  });
  all.addEventListener("click", scan, { signal });
  const root = make("div", { class: "iplm-editor" }, [
    words,
    make("div", { class: "iplm-groups" }, [...sets, all]),
  ]);
  /** @param {string} text @param {string} present @param {string} before @param {boolean} able */
  const update = (text, present, before, able) => {
    words.textContent = text;
    for (const button of buttons) {
      const { letter } = button.dataset;
      button.setAttribute("aria-pressed", String(letter === present));
      const name =
        letter === before ? `${AMINO_ACID[letter]}, in the reference` : AMINO_ACID[letter];
      button.setAttribute("aria-label", name);
      button.title = name;
      button.classList.toggle("iplm-reference", letter === before);
      button.disabled = !able;
    }
    all.disabled = !able;
  };
  return { root, update };
}

/**
 * The mutations, each with a way to take it back.
 * @param {Kit} kit @param {{ remove: (mutation: string) => void, reset: () => void }} on
 */
export function mutationChips(kit, { remove, reset }) {
  const root = kit.element("div", {
    class: "iplm-chips",
    role: "group",
    "aria-label": "Mutations",
    hidden: "",
  });
  /** @param {string[]} mutations @param {boolean} able */
  const update = (mutations, able) => {
    root.hidden = mutations.length === 0;
    const chip = (
      /** @type {string} */ text,
      /** @type {string} */ label,
      /** @type {() => void} */ act,
    ) => {
      const made = kit.element("button", {
        type: "button",
        text,
        "aria-label": label,
        title: label,
      });
      made.addEventListener("click", act);
      made.disabled = !able;
      return made;
    };
    const chips = mutations.map((mutation) =>
      chip(`${mutation} ×`, `Remove ${mutation}`, () => remove(mutation)),
    );
    root.replaceChildren(...chips, chip("Back to reference", "Back to reference", reset));
  };
  return { root, update };
}

// @ts-check
// A person's note on the feature: what it says, and the form that writes it. Only a kernel can save
// one.

/** @import { Kit, View } from "../kit/types.js" */
/** @import { Note } from "../feature_data/listing.js" */

const PATIENCE = 4000; // ms before it is said that no kernel answers
const FIELDS = /** @type {const} */ (["description", "comment", "author"]);
/** @typedef {Record<typeof FIELDS[number], string>} Draft */

export class Notes {
  /** @param {Kit} kit @param {View} view */
  constructor(kit, view) {
    this.kit = kit;
    this.view = view;
    this.feature = -1;
    this.described = ""; // what its describer says
    /** @type {Map<number, Draft>} what is being written */
    this.drafts = new Map();
    this.author = "";
    this.asked = 0;
    /** @type {{ id: string, feature: number } | null} what was requested last */
    this.saving = null;
    this.said = kit.element("div", { class: "iplm-note-said" });
    this.edit = kit.element("button", { type: "button" });
    this.form = this.makeForm();
    this.root = kit.element("div", { class: "iplm-noting" }, [this.said, this.edit, this.form]);
    const { signal, store } = view;
    this.edit.addEventListener("click", () => this.open(), { signal });
    const heard = (/** @type {any} */ content) => this.heard(content);
    store.model.on("msg:custom", heard);
    signal.addEventListener("abort", () => {
      clearTimeout(this.waiting);
      store.model.off("msg:custom", heard);
    });
  }

  /** A page without a kernel. */
  get none() {
    return Boolean(this.view.store.model.static);
  }

  /** @returns {Note | undefined} */
  get note() {
    return this.view.store.notes[String(this.feature)];
  }

  makeForm() {
    const { element } = this.kit;
    const most = this.view.store.about.most_letters;
    const label = (/** @type {string} */ text, /** @type {HTMLElement} */ field) =>
      element("label", {}, [element("span", { text }), field]);
    /** @type {Record<typeof FIELDS[number], HTMLTextAreaElement | HTMLInputElement>} */
    this.fields = {
      description: element("textarea", { rows: 2, maxlength: most.description }),
      comment: element("textarea", { rows: 2, maxlength: most.comment }),
      author: element("input", { type: "text", maxlength: most.author }),
    };
    const { signal } = this.view;
    for (const name of FIELDS)
      this.fields[name].addEventListener("input", () => this.keep(), { signal });
    this.problem = element("p", { class: "iplm-words", role: "status", hidden: "" });
    const button = (/** @type {string} */ text, /** @type {() => void} */ act) => {
      const made = element("button", { type: "button", text });
      made.addEventListener("click", act, { signal });
      return made;
    };
    const form = element("div", { class: "iplm-note-form", role: "group", hidden: "" }, [
      label("Description", this.fields.description),
      label("Comment", this.fields.comment),
      label("Author (optional)", this.fields.author),
      this.problem,
      element("div", {}, [
        button("Save note", () => this.save()),
        button("Cancel", () => this.cancel()),
        button("Copy text", () => this.copy()),
      ]),
    ]);
    form.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.key(event), {
      signal,
    });
    return form;
  }

  /** Escape is Cancel, and clears no brush. @param {KeyboardEvent} event */
  key(event) {
    if (event.key === "Escape") this.cancel();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.save();
    else return;
    event.preventDefault();
  }

  /** Another feature, or another note. @param {number} feature @param {string} described */
  show(feature, described) {
    if (feature !== this.feature) this.say("");
    this.feature = feature;
    this.described = described;
    const { element } = this.kit;
    const { note } = this;
    const who = note?.note_author ? ` by ${note.note_author}` : "";
    const when = note?.note_date ? `, ${note.note_date.slice(0, 10)}` : "";
    const parts = note
      ? [
          element("span", { class: "iplm-by", text: `A person's note${who}${when}` }),
          ...[note.note, note.comment]
            .filter(Boolean)
            .map((text) => element("p", { class: "iplm-noted", text })),
          ...(note.unsaved ? [element("p", { class: "iplm-small", text: this.unsaved })] : []),
        ]
      : [];
    const draft = this.drafts.get(feature);
    this.said.replaceChildren(...(this.none || !draft ? parts : [])); // the form holds the texts
    this.edit.textContent = note ? "Edit the note" : "Write a note";
    this.form.setAttribute("aria-label", `Note on feature ${feature}`);
    this.form.hidden = this.none || !draft;
    this.edit.hidden = this.none || Boolean(draft);
    this.root.hidden = this.none && !note;
    if (draft) for (const name of FIELDS) this.fields[name].value = draft[name];
  }

  /** What is said of a note that this session alone holds. */
  get unsaved() {
    return (
      `${this.view.store.about.no_notes}. This session keeps the note: the table's CSV and an ` +
      "exported page carry it."
    );
  }

  open() {
    const { note } = this;
    this.drafts.set(this.feature, {
      description: note?.note ?? (note ? "" : this.described),
      comment: note?.comment ?? "",
      author: note?.note_author ?? this.author,
    });
    this.say(this.view.store.about.no_notes ? this.unsaved : "");
    this.show(this.feature, this.described);
    this.fields.description.focus();
  }

  keep() {
    const { description, comment, author } = this.fields;
    this.drafts.set(this.feature, {
      description: description.value,
      comment: comment.value,
      author: author.value,
    });
  }

  cancel() {
    this.drafts.delete(this.feature);
    this.show(this.feature, this.described);
    this.edit.focus();
  }

  save() {
    this.keep();
    const draft = /** @type {Draft} */ (this.drafts.get(this.feature));
    const description = draft.description.trim();
    // What the describer said already is not a note.
    const note = { ...draft, description: description === this.described ? "" : description };
    this.author = draft.author;
    this.asked += 1;
    this.saving = { id: `${this.asked}`, feature: this.feature };
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.silent(), PATIENCE);
    try {
      const { id, feature } = this.saving;
      this.view.store.model.send({ note: { feature, ...note }, id });
    } catch {
      this.silent(); // Jupyter throws if the kernel is gone
    }
  }

  silent() {
    clearTimeout(this.waiting);
    this.say("No kernel answers, so the note is not saved: run the cell again, or copy the text.");
  }

  /** @param {any} content */
  heard(content) {
    if (!this.saving || content?.noted !== this.saving.id) return;
    clearTimeout(this.waiting);
    const { feature } = this.saving;
    this.saving = null;
    if (content.problem && feature === this.feature) return this.say(content.problem);
    if (content.problem)
      return this.view.say(`The note on feature ${feature} is not saved: ${content.problem}`);
    this.drafts.delete(feature);
    if (feature === this.feature) {
      this.show(feature, this.described);
      this.edit.focus();
    }
    const kept = this.view.store.notes[String(feature)]?.unsaved;
    this.view.say(`The note on feature ${feature} is ${kept ? "kept in this session" : "saved"}`);
  }

  /** @param {string} problem */
  say(problem) {
    this.problem.textContent = problem;
    this.problem.hidden = !problem;
  }

  copy() {
    const text = FIELDS.map((name) => this.fields[name].value)
      .filter(Boolean)
      .join("\n\n");
    navigator.clipboard?.writeText(text).catch(() => this.fields.description.select());
  }
}

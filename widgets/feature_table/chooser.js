// @ts-check
// The menu that says which columns the table shows.

import { choosable } from "./columns.js";

/** @import { Kit, View } from "../kit/types.js" */
/** @import { Shown } from "../feature_data/listing.js" */

export class Chooser {
  /** @param {Kit} kit @param {View} view */
  constructor(kit, view) {
    this.kit = kit;
    this.view = view;
    this.names = "";
    this.items = kit.element("div", { role: "group", "aria-label": "Columns of the table" });
    view.menu(
      { kind: "iplm-columns", text: "Columns", hint: "Choose the table's columns", stays: true },
      this.items,
    );
  }

  /** The columns that there are, and which of them are shown. @param {Shown} shown */
  show(shown) {
    const chosen = this.view.model.get("columns");
    const columns = choosable(shown);
    const names = columns.map(({ name }) => name).join();
    if (names !== this.names) this.items.replaceChildren(...columns.map((one) => this.item(one)));
    this.names = names;
    for (const box of this.items.querySelectorAll("input"))
      box.checked = chosen.includes(box.value);
  }

  /** @param {import("./columns.js").Column} column */
  item({ name, label, hint }) {
    const { element } = this.kit;
    const box = element("input", { type: "checkbox", value: name });
    const choose = () => {
      const others = this.view.model
        .get("columns")
        .filter((/** @type {string} */ other) => other !== name);
      this.view.keep("columns", box.checked ? [...others, name] : others);
    };
    box.addEventListener("change", choose, { signal: this.view.signal });
    return element("label", { title: hint }, [box, element("span", { text: label })]);
  }
}

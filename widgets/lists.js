// @ts-check
// The JavaScript half of `Lists`: each list is unpacked once, for all data that share them.

import { unpack } from "./kit/bytes.js";

/** @import { Model, Packed } from "./kit/types.js" */

export class Lists {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    /** @type {Map<string, Promise<Packed>>} */
    this.unpacked = new Map();
  }

  /** @param {"features" | "pairs" | "proteins"} name @returns {Promise<Packed>} */
  read(name) {
    let made = this.unpacked.get(name);
    if (!made) this.unpacked.set(name, (made = unpack(this.model.get(name))));
    return made;
  }
}

/** @param {{ model: Model }} context */
function initialize({ model }) {
  return new Lists(model);
}

export default { initialize };

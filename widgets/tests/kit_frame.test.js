import assert from "node:assert/strict";
import { test } from "node:test";
import { Frame } from "../kit/frame.js";

/** A model as Jupyter has it, as far as a frame asks. */
class Model {
  state = new Map();
  saved = 0;
  /** @type {[string, () => void][]} */
  heard = [];
  on = (/** @type {string} */ event, /** @type {() => void} */ act) =>
    void this.heard.push([event, act]);
  off = (/** @type {string} */ event, /** @type {() => void} */ act) =>
    void (this.heard = this.heard.filter(([name, known]) => name !== event || known !== act));
  set = (/** @type {string} */ name, /** @type {any} */ value) => {
    this.state.set(name, value);
    for (const [event, act] of this.heard) if (event === `change:${name}`) act();
  };
  save_changes = () => void (this.saved += 1);
}

test("its own view hears traits until it leaves the page, and keeps what is set", () => {
  const [model, leaving] = [new Model(), new AbortController()];
  /** @type {any} */
  const frame = Object.assign(Object.create(Frame.prototype), { model, signal: leaving.signal });
  let heard = 0;
  frame.onModel(["unit", "share"], () => (heard += 1));
  frame.keep("unit", "proteins");
  frame.keep("share", true);
  frame.keep("scale", "log");
  assert.deepEqual([heard, model.saved, model.state.get("unit")], [2, 3, "proteins"]);
  leaving.abort();
  frame.keep("unit", "residues");
  assert.equal(heard, 2);
  assert.deepEqual(model.heard, []);
});

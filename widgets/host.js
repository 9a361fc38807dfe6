// @ts-check
// Stands in for Jupyter in an exported page: the widgets' state is in the page, and no kernel is
// behind it.

import { followAddress } from "./host/address.js";

/** @param {string} text base64 */
function view(text) {
  return new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
}

/** State with the listeners that anywidget's models have. */
class Model {
  /** @param {Record<string, any>} state */
  constructor(state) {
    this.state = state;
    /** @type {Map<string, Set<Function>>} */
    this.listeners = new Map();
    this.static = true;
  }

  /** @param {string} name */
  get(name) {
    return this.state[name];
  }

  /** @param {string} name @param {any} value */
  set(name, value) {
    if (Object.is(this.state[name], value)) return;
    this.state[name] = value;
    for (const event of [`change:${name}`, "change"])
      for (const listener of [...(this.listeners.get(event) ?? [])]) listener();
  }

  save_changes() {}

  send() {}

  /** @param {string} event @param {Function} listener */
  on(event, listener) {
    if (!this.listeners.has(event)) this.listeners.set(event, new Set());
    this.listeners.get(event)?.add(listener);
  }

  /** @param {string} [event] @param {Function} [listener] */
  off(event, listener) {
    if (!event) this.listeners.clear();
    else if (!listener) this.listeners.delete(event);
    else this.listeners.get(event)?.delete(listener);
  }
}

/** @param {string} id @returns {string} */
function textOf(id) {
  return document.getElementById(id)?.textContent ?? "";
}

const page = JSON.parse(textOf("iplm-state"));
/** @type {Map<string, Promise<any>>} */
const modules = new Map();
/** @type {Map<string, Promise<{ widget: any, exports: any }>>} */
const started = new Map();
const models = new Map(
  Object.entries(page.models).map(([id, /** @type {any} */ m]) => [
    id,
    new Model(revived(m.state, m.buffers)),
  ]),
);

/** @param {any} state @param {[string[], string][]} buffers path and base64 */
function revived(state, buffers) {
  for (const [path, text] of buffers) {
    const parent = path.slice(0, -1).reduce((at, key) => at[key], state);
    parent[path[path.length - 1]] = view(text);
  }
  return state;
}

/** @param {string} name */
function load(name) {
  if (!modules.has(name)) {
    const url = URL.createObjectURL(
      new Blob([textOf(`iplm-esm-${name}`)], { type: "text/javascript" }),
    );
    modules.set(name, import(url));
  }
  return /** @type {Promise<any>} */ (modules.get(name));
}

/** @param {string} id */
function start(id) {
  const make = async () => {
    const widget = (await load(page.models[id].esm)).default;
    return {
      widget,
      exports: await widget.initialize?.({
        model: models.get(id),
        signal: new AbortController().signal,
      }),
    };
  };
  if (!started.has(id)) started.set(id, make());
  return /** @type {Promise<any>} */ (started.get(id));
}

/** @param {string} reference "anywidget:<id>" */
function idOf(reference) {
  return reference.replace(/^anywidget:/, "");
}

const host = {
  /** @param {string} reference */
  getModel: async (reference) => models.get(idOf(reference)),
  /** @param {string} reference */
  getWidget: async (reference) => {
    const id = idOf(reference);
    const { exports } = await start(id);
    return {
      exports,
      render: (/** @type {{ el: HTMLElement, signal?: AbortSignal }} */ { el, signal }) =>
        render(id, el, signal),
    };
  },
};

/** @param {string} id @param {HTMLElement} el @param {AbortSignal} [signal] */
async function render(id, el, signal = new AbortController().signal) {
  const { widget } = await start(id);
  await widget.render?.({ model: models.get(id), el, signal, host });
}

/** @param {string} id of the selection */
function follow(id) {
  const selection = /** @type {Model} */ (models.get(id));
  const view = [...models.values()].find(
    (model) => model.get("data") && idOf(model.get("selection")) === id,
  );
  const data = view && models.get(idOf(view.get("data")));
  const views = Object.entries(page.linked).map(([name, /** @type {any} */ { model, values }]) => [
    name,
    { of: models.get(model), values },
  ]);
  const forever = new AbortController().signal;
  if (data)
    followAddress(selection, data.get("about"), page.fields, Object.fromEntries(views), forever);
}

if (page.selection) follow(page.selection);
const main = document.querySelector("main") ?? document.body;
for (const id of page.show) {
  const el = main.appendChild(document.createElement("div"));
  el.className = "iplm-shown";
  render(id, el).catch((error) => {
    el.textContent = `This view could not be drawn: ${error}`;
    console.error(error);
  });
}
/** @type {any} */ (window).iplmModels = models;

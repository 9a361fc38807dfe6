// @ts-check
// What views share. Each view begins with
//   const kit = (await context.host.getWidget(context.model.get("kit"))).exports;
//   const view = await kit.open(context, { title, kind });
// and then draws into `view.body`, reads `view.store.bundle`, reads and writes `view.link`.

import { gunzip, bytesOf, unpack } from "./kit/bytes.js";
import { lutOf, stepOf, inBrush } from "./kit/colours.js";
import { fitted, widthOf } from "./kit/fitted.js";
import { Frame, element, isTyping, stepsByKeyboard } from "./kit/frame.js";
import { colourBar } from "./kit/colour_bar.js";
import { count, decades, fixed, percent, short, ticks } from "./kit/scales.js";
import { download, pictures } from "./kit/save.js";
import { CanvasSurface } from "./kit/surface.js";
import { readTheme, watchTheme } from "./kit/theme.js";

/** @import { Context, Link, Model, Store } from "./kit/types.js" */

export class Kit {
  CanvasSurface = CanvasSurface;
  colourBar = colourBar;
  count = count;
  decades = decades;
  download = download;
  element = element;
  fitted = fitted;
  fixed = fixed;
  inBrush = inBrush;
  isTyping = isTyping;
  percent = percent;
  pictures = pictures;
  short = short;
  stepOf = stepOf;
  stepsByKeyboard = stepsByKeyboard;
  ticks = ticks;
  unpack = unpack;
  widthOf = widthOf;

  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    this.scales = { light: lutOf(model.get("scale")), dark: lutOf(model.get("scale_on_dark")) };
    this.unmapped = model.get("unmapped");
  }

  /**
   * @param {Context} context
   * @param {import("./kit/frame.js").Options} options
   * @returns {Promise<Frame>}
   */
  async open(context, options) {
    const { model, host, el } = context;
    const of = async (/** @type {string} */ name) =>
      (await host.getWidget(model.get(name))).exports;
    /** @type {[Link, Store]} */
    const [link, store] = await Promise.all([of("selection"), of("data")]);
    store.attach(link, host);
    this.dress(el);
    return new Frame(context, options, this, link, store);
  }

  /** The style, once per document or shadow root. @param {HTMLElement} el */
  dress(el) {
    const root = /** @type {any} */ (el.getRootNode());
    const home = root.head ?? (root.host ? root : document.head);
    if (home.querySelector("style.iplm-style")) return;
    home.append(element("style", { class: "iplm-style", text: this.model.get("style") }));
  }

  /**
   * Mark what is not a view as dark where the page is.
   * @param {HTMLElement} root with its own ground @param {AbortSignal} signal
   */
  followTheme(root, signal) {
    const follow = () => void readTheme(root, this.scales);
    follow();
    watchTheme(follow, signal);
  }

  /**
   * NGL, evaluated once per page; rejects with words where the package lacks it.
   * @returns {Promise<any>}
   */
  ngl() {
    const page = /** @type {any} */ (globalThis);
    page.interplmNgl ??= this.loadNgl();
    return page.interplmNgl;
  }

  async loadNgl() {
    const packed = this.model.get("ngl");
    if (!packed?.byteLength) throw new Error(this.model.get("ngl_missing"));
    const script = new TextDecoder().decode(await gunzip(bytesOf(packed)));
    // NGL is a UMD script. In a function, it cannot see the module, exports and define of a page
    // with require.js. A script element, and no eval, which an exported page forbids.
    const page = /** @type {any} */ (globalThis);
    const source = `interplmNglOf = function (module, exports, define) {${script}\n};`;
    await run(source);
    const module = { exports: /** @type {any} */ ({}) };
    page.interplmNglOf.call(page, module, module.exports, undefined);
    delete page.interplmNglOf;
    return module.exports;
  }
}

/** Run a script in the page. @param {string} source @returns {Promise<any>} */
function run(source) {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const script = element("script", { src: url });
  return new Promise((done, fail) => {
    script.addEventListener("load", done);
    script.addEventListener("error", () => fail(Error("this page forbids NGL's script")));
    document.head.append(script);
  }).finally(() => {
    script.remove();
    URL.revokeObjectURL(url);
  });
}

/** @param {{ model: Model }} context */
function initialize({ model }) {
  return new Kit(model);
}

export default { initialize };

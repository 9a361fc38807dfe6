// @ts-check
// The JavaScript half of `Comparison`: two workbenches; protein, residue and brush of one are those
// of the other.

/** @import { Context, Kit, Link } from "./kit/types.js" */

const SHARED = ["accession", "position", "brush"];

/** @param {Context} context */
async function render({ model, el, host, signal }) {
  /** @type {Kit} */
  const kit = (await host.getWidget(model.get("kit"))).exports;
  kit.dress(el);
  const sides = ["left", "right"].map((name) =>
    kit.element("div", { class: `iplm-side iplm-${name}` }),
  );
  el.append(kit.element("div", { class: "iplm-pair" }, sides));
  const links = await Promise.all(
    ["left", "right"].map(async (name) => {
      const bench = await host.getModel(model.get(name));
      return (await host.getWidget(bench.get("selection"))).exports;
    }),
  );
  share(links[0], links[1], signal);
  share(links[1], links[0], signal);
  await Promise.all(
    ["left", "right"].map(async (name, i) =>
      (await host.getWidget(model.get(name))).render({ el: sides[i], signal }),
    ),
  );
}

/** @param {Link} from @param {Link} to @param {AbortSignal} signal */
function share(from, to, signal) {
  from.on(
    SHARED,
    () => to.set(Object.fromEntries(SHARED.map((name) => [name, from.get(name)]))),
    signal,
  );
  from.on(["hover"], () => to.setHover(from.hover), signal);
}

export default { render };

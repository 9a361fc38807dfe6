// @ts-check
// The JavaScript half of `Address`: what a workbench shows is in the address of its page.

import { followAddress } from "./host/address.js";

/** @import { Context } from "./kit/types.js" */

/** @param {Context} context */
async function render({ model, host, signal }) {
  const [selection, data] = await Promise.all(
    ["selection", "data"].map((name) => host.getModel(model.get(name))),
  );
  const views = await Promise.all(
    Object.entries(model.get("views")).map(async ([name, { model: id, values }]) => [
      name,
      { of: await host.getModel(`anywidget:${id}`), values },
    ]),
  );
  const about = data.get("about");
  followAddress(selection, about, model.get("fields"), Object.fromEntries(views), signal);
}

export default { render };

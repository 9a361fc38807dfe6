// @ts-check
// The module of every view. What draws it is the widget `code`, which all views of a kind share.

/** @import { Context } from "./kit/types.js" */

/** @param {Context} context */
async function render(context) {
  const { host, model } = context;
  return (await host.getWidget(model.get("code"))).exports.render(context);
}

export default { render };

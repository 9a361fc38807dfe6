// @ts-check
// A ring around the point under the pointer, above the picture, so that a pointer move draws no
// points again.

/** @import { View } from "../kit/types.js" */

export class Ring {
  /** @param {View} view */
  constructor(view) {
    this.element = view.kit.element("div", {
      class: "iplm-ring",
      "aria-hidden": "true",
      hidden: "",
    });
    view.body.append(this.element);
  }

  hide() {
    this.element.hidden = true;
  }

  /** @param {number} x @param {number} y the point @param {number} radius */
  show(x, y, radius) {
    this.element.hidden = false;
    const side = 2 * (radius + 4);
    const px = (/** @type {number} */ value) => `${value}px`;
    Object.assign(this.element.style, {
      left: px(x - side / 2),
      top: px(y - side / 2),
      width: px(side),
      height: px(side),
    });
  }
}

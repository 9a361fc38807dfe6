// @ts-check
// What is under the pointer: a ring and some words, above the picture, so that a pointer move draws no points again.

const GAP = 14; // points between a point and its words

export class Tip {
  /** @param {any} view */
  constructor(view) {
    const { element } = view.kit;
    this.element = element;
    this.ring = element("div", { class: "iplm-ring", "aria-hidden": "true", hidden: "" });
    this.box = element("div", { class: "iplm-tip", "aria-hidden": "true", hidden: "" });
    view.body.append(this.ring, this.box);
  }

  hide() {
    this.ring.hidden = this.box.hidden = true;
  }

  /**
   * @param {string[]} words one line each @param {number} x @param {number} y the point @param {number} radius
   * @param {{ width: number, height: number }} room the words stay in it
   */
  show(words, x, y, radius, room) {
    this.ring.hidden = this.box.hidden = false;
    const side = 2 * (radius + 4);
    const px = (/** @type {number} */ value) => `${value}px`;
    Object.assign(this.ring.style, { left: px(x - side / 2), top: px(y - side / 2), width: px(side), height: px(side) });
    this.box.replaceChildren(...words.map((text) => this.element("div", { text })));
    const { offsetWidth, offsetHeight } = this.box;
    const left = x + GAP + offsetWidth > room.width ? x - GAP - offsetWidth : x + GAP;
    const top = Math.max(2, Math.min(room.height - offsetHeight - 2, y - offsetHeight / 2));
    Object.assign(this.box.style, { left: px(Math.max(2, Math.min(left, room.width - offsetWidth - 2))), top: px(top) });
  }
}

// @ts-check
// A box of words next to the pointer, above the picture, so that a pointer move draws nothing
// again.

const GAP = 14; // points between the point and its words
const EDGE = 2;

export class Tip {
  /** @param {HTMLElement} home positioned; the box stays in it */
  constructor(home) {
    this.home = home;
    this.box = document.createElement("div");
    this.box.className = "iplm-tip";
    this.box.hidden = true;
    this.box.setAttribute("aria-hidden", "true");
    home.append(this.box);
  }

  hide() {
    this.box.hidden = true;
  }

  /**
   * @param {string[]} lines the first is their heading
   * @param {{ x: number, y: number }} at points of `home`
   */
  show(lines, { x, y }) {
    this.box.replaceChildren(
      ...lines.map((text) => Object.assign(document.createElement("div"), { textContent: text })),
    );
    this.box.hidden = false;
    const { clientWidth, clientHeight } = this.home;
    this.box.style.left = `${placed(x, this.box.offsetWidth, clientWidth)}px`;
    this.box.style.top = `${placed(y, this.box.offsetHeight, clientHeight)}px`;
  }
}

/**
 * Where the box begins: behind the point, before it where there is no room, and never outside.
 * @param {number} at @param {number} size of the box @param {number} room
 */
export function placed(at, size, room) {
  const start = at + GAP + size + EDGE <= room ? at + GAP : at - GAP - size;
  return Math.max(EDGE, Math.min(start, room - size - EDGE));
}

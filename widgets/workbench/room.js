// @ts-check
// The height that the page gives the workbench: of the notebook's panel, of a view of its output,
// of the window.

const PROBE = 100_000; // pixels
const NEAR = 0.25; // of the room: what lies further down does not share it with what is above

/** The element around another, also from within a shadow root. @param {Element} element */
function around(element) {
  const root = /** @type {any} */ (element.getRootNode());
  return element.parentElement ?? /** @type {Element | undefined} */ (root.host);
}

/**
 * The nearest element around another whose height does not follow its content, and the room in it.
 * Little that is above shares the room, so that a page needs no scrolling; in a notebook, whose
 * cells scroll, all of it is the workbench's.
 * @param {HTMLElement} element
 * @param {number} margin that stays free, in pixels
 * @returns {{ room: number, frame: Element }}
 */
export function roomOf(element, margin) {
  if (document.fullscreenElement?.contains(element))
    return { room: window.innerHeight, frame: document.documentElement };
  const before = element.style.height;
  element.style.height = `${PROBE}px`;
  let at = around(element);
  while (at && (at.clientHeight === 0 || at.clientHeight >= PROBE)) at = around(at);
  element.style.height = before;
  const frame = at ?? document.documentElement;
  const isPage = frame === document.documentElement;
  const room = isPage ? window.innerHeight : frame.clientHeight;
  const top = isPage ? 0 : frame.getBoundingClientRect().top;
  const above = element.getBoundingClientRect().top - top + frame.scrollTop;
  const isNotebook = frame.closest(".jp-NotebookPanel") !== null;
  const shared = !isNotebook && above > 0 && above < NEAR * room ? above : 0;
  return { room: room - margin - shared, frame };
}

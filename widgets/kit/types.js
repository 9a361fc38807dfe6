// @ts-check
// The types at the seams: what a view is given, and what it draws on. No code.

/**
 * The traits of a widget: a model of anywidget, or of an exported page (`host.js`).
 * @typedef {object} Model
 * @property {(name: string) => any} get
 * @property {(name: string, value: unknown) => void} set
 * @property {() => void} save_changes
 * @property {(content: unknown) => void} send
 * @property {(event: string, listener: (...said: any[]) => void) => void} on
 * @property {(event: string, listener: (...said: any[]) => void) => void} off
 * @property {boolean} [static] in an exported page: no kernel answers
 */

/**
 * Finds other widgets by the reference that a trait holds.
 * @typedef {object} Host
 * @property {(reference: string) => Promise<Widget>} getWidget
 * @property {(reference: string) => Promise<Model>} getModel
 */

/**
 * @typedef {object} Widget
 * @property {any} exports what its `initialize` returned: a `Kit`, a `Link`, a `Store`
 * @property {(place: { el: HTMLElement, signal?: AbortSignal }) => Promise<void>} render
 */

/**
 * What anywidget calls `render` with.
 * @typedef {{ model: Model, el: HTMLElement, host: Host, signal: AbortSignal }} Context
 */

/** @typedef {import("../kit.js").Kit} Kit */
/** @typedef {import("../selection.js").Link} Link the selection that views share */
/** @typedef {import("../feature_data.js").Store} Store the data that views share */
/** @typedef {import("./frame.js").Frame} View one view on the page, with `link` and `store` */
/** @typedef {import("./plot.js").Plot} Plot */
/** @typedef {import("./theme.js").Theme} Theme */
/** @typedef {import("./surface.js").Surface} Surface */
/** @typedef {import("./surface.js").TextStyle} TextStyle */
/** @typedef {import("./bytes.js").Packed} Packed */
/** @typedef {import("./bundle.js").Bundle} Bundle */
/** @typedef {import("./bundle.js").Protein} Protein */
/** @typedef {import("./colours.js").Lut} Lut */

export {};

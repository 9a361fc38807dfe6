// @ts-check
// One set of drawing operations: a canvas for the screen and for PNG here, SVG in `svg_surface.js`;
// so an export is what is seen.

import { drawDots } from "./dots.js";

/**
 * @typedef {object} Surface
 * @property {(x: number, y: number, w: number, h: number, fill: string, opacity?: number) => void}
 *   rect
 * @property {(x: number, y: number, w: number, h: number, stroke: string, width?: number) => void}
 *   frame
 * @property {(x: number, y: number, w: number, h: number, stroke: string) => void} hatch what is
 *   unknown, never 0
 * @property {(x1: number, y1: number, x2: number, y2: number, stroke: string, width?: number,
 *   dash?: number[]) => void} line
 * @property {(points: number[][], stroke: string, width?: number, fill?: string) => void} path
 * @property {(x: number, y: number, r: number, fill: string, stroke?: string) => void} circle
 * @property {(x: Float32Array, y: Float32Array, kind: Uint16Array, n: number, r: number, styles:
 *   import("./dots.js").DotStyle[]) => void} dots
 * @property {(x: number, y: number, text: string, style: TextStyle) => void} text
 * @property {(letter: string, x: number, y: number, w: number, h: number, fill: string) => void}
 *   glyph a letter stretched to a box
 * @property {(x: number, y: number, w: number, h: number, rgba: Uint8ClampedArray, columns: number,
 *   rows: number) => void} image
 * @property {(x: number, y: number, w: number, h: number, source: { bitmap: ImageBitmap, url:
 *   string }) => void} picture a finished one
 * @property {(x: number, y: number, w: number, h: number, draw: () => void) => void} clip
 */
/**
 * @typedef {object} TextStyle
 * @property {string} fill
 * @property {number} [size]
 * @property {"left" | "center" | "right"} [align]
 * @property {number} [weight]
 * @property {boolean} [mono]
 * @property {number} [turn]
 */

export const SANS = 'system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Arial, sans-serif';
export const MONO = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace';

/**
 * Height of capitals and their widths, of 100 px bold Arial-like letters, measured once per font.
 * @type {Map<string, number[]>}
 */
const boxes = new Map();

/**
 * @param {CanvasRenderingContext2D} g
 * @param {string} letter
 * @returns {number[]} left, right, ascent, descent of the ink at 100 px
 */
export function inkOf(g, letter) {
  let box = boxes.get(letter);
  if (!box) {
    g.save();
    g.font = `700 100px ${SANS}`;
    g.textAlign = "left";
    g.textBaseline = "alphabetic";
    const m = g.measureText(letter);
    box = [
      m.actualBoundingBoxLeft,
      m.actualBoundingBoxRight,
      m.actualBoundingBoxAscent,
      m.actualBoundingBoxDescent,
    ];
    g.restore();
    boxes.set(letter, box);
  }
  return box;
}

/** @implements {Surface} */
export class CanvasSurface {
  /** @param {CanvasRenderingContext2D} g */
  constructor(g) {
    this.g = g;
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {number} w
   * @param {number} h
   * @param {string} fill
   * @param {number} [opacity]
   */
  rect(x, y, w, h, fill, opacity = 1) {
    this.g.globalAlpha = opacity;
    this.g.fillStyle = fill;
    this.g.fillRect(x, y, w, h);
    this.g.globalAlpha = 1;
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {number} w
   * @param {number} h
   * @param {string} stroke
   * @param {number} [width]
   */
  frame(x, y, w, h, stroke, width = 1) {
    this.g.setLineDash([]);
    this.g.strokeStyle = stroke;
    this.g.lineWidth = width;
    this.g.strokeRect(x, y, w, h);
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {number} w
   * @param {number} h
   * @param {string} stroke
   */
  hatch(x, y, w, h, stroke) {
    this.clip(x, y, w, h, () => {
      for (let at = x - h; at < x + w; at += 5) this.line(at, y + h, at + h, y, stroke, 1);
    });
  }

  /**
   * @param {number} x1
   * @param {number} y1
   * @param {number} x2
   * @param {number} y2
   * @param {string} stroke
   * @param {number} [width]
   * @param {number[]} [dash]
   */
  line(x1, y1, x2, y2, stroke, width = 1, dash = []) {
    this.g.setLineDash(dash);
    this.g.strokeStyle = stroke;
    this.g.lineWidth = width;
    this.g.beginPath();
    this.g.moveTo(x1, y1);
    this.g.lineTo(x2, y2);
    this.g.stroke();
  }

  /**
   * @param {number[][]} points
   * @param {string} stroke
   * @param {number} [width]
   * @param {string} [fill]
   */
  path(points, stroke, width = 1, fill = "") {
    this.g.setLineDash([]);
    this.g.beginPath();
    points.forEach(([x, y], i) => (i ? this.g.lineTo(x, y) : this.g.moveTo(x, y)));
    if (fill) {
      this.g.closePath();
      this.g.fillStyle = fill;
      this.g.fill();
    }
    if (!stroke) return;
    this.g.strokeStyle = stroke;
    this.g.lineWidth = width;
    this.g.stroke();
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {number} r
   * @param {string} fill
   * @param {string} [stroke]
   */
  circle(x, y, r, fill, stroke = "") {
    this.g.setLineDash([]);
    this.g.beginPath();
    this.g.arc(x, y, r, 0, 2 * Math.PI);
    if (fill) {
      this.g.fillStyle = fill;
      this.g.fill();
    }
    if (!stroke) return;
    this.g.strokeStyle = stroke;
    this.g.lineWidth = 1.5;
    this.g.stroke();
  }

  /** @param {Parameters<Surface["dots"]>} dots */
  dots(...dots) {
    drawDots(this.g, ...dots);
  }

  /** @param {number} x @param {number} y @param {string} text @param {TextStyle} style */
  text(x, y, text, { fill, size = 11, align = "left", weight = 400, mono = false, turn = 0 }) {
    this.g.font = `${weight} ${size}px ${mono ? MONO : SANS}`;
    this.g.textAlign = align;
    this.g.textBaseline = "middle";
    this.g.fillStyle = fill;
    if (turn) this.turned(x, y, turn, () => this.g.fillText(text, 0, 0));
    // a thousand letters a frame: save and restore would cost as much again
    else this.g.fillText(text, x, y);
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {number} degrees
   * @param {() => void} draw around 0, 0
   */
  turned(x, y, degrees, draw) {
    this.g.save();
    this.g.translate(x, y);
    this.g.rotate((degrees * Math.PI) / 180);
    draw();
    this.g.restore();
  }

  /**
   * @param {string} letter
   * @param {number} x
   * @param {number} y
   * @param {number} w
   * @param {number} h
   * @param {string} fill
   */
  glyph(letter, x, y, w, h, fill) {
    const [left, right, ascent, descent] = inkOf(this.g, letter);
    this.g.save();
    this.g.translate(x, y + h);
    this.g.scale(w / (left + right), h / (ascent + descent));
    this.g.font = `700 100px ${SANS}`;
    this.g.textAlign = "left";
    this.g.textBaseline = "alphabetic";
    this.g.fillStyle = fill;
    this.g.fillText(letter, left, -descent);
    this.g.restore();
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {number} w
   * @param {number} h
   * @param {Uint8ClampedArray} rgba
   * @param {number} columns
   * @param {number} rows
   */
  image(x, y, w, h, rgba, columns, rows) {
    const cells = cellsOf(rgba, columns, rows);
    this.g.imageSmoothingEnabled = false;
    this.g.drawImage(cells, x, y, w, h);
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {number} w
   * @param {number} h
   * @param {{ bitmap: ImageBitmap, url: string }} source
   */
  picture(x, y, w, h, { bitmap }) {
    this.g.drawImage(bitmap, x, y, w, h);
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {number} w
   * @param {number} h
   * @param {() => void} draw
   */
  clip(x, y, w, h, draw) {
    this.g.save();
    this.g.beginPath();
    this.g.rect(x, y, w, h);
    this.g.clip();
    draw();
    this.g.restore();
  }
}

/**
 * Canvases for cells, each filled again after 64 others: to make one takes longer than to fill it.
 * @type {CanvasRenderingContext2D[]}
 */
const spare = [];
let taken = 0;

/** @param {Uint8ClampedArray} rgba @param {number} columns @param {number} rows */
export function cellsOf(rgba, columns, rows) {
  taken = (taken + 1) % 64;
  spare[taken] ??= /** @type {CanvasRenderingContext2D} */ (
    document.createElement("canvas").getContext("2d")
  );
  const { canvas } = spare[taken];
  if (canvas.width !== columns || canvas.height !== rows)
    [canvas.width, canvas.height] = [columns, rows];
  spare[taken].putImageData(new ImageData(/** @type {any} */ (rgba), columns, rows), 0, 0);
  return canvas;
}

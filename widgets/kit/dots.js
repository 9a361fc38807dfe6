// @ts-check
// Thousands of dots, pixel by pixel: 10,000 calls of drawImage took 30 ms without a GPU, this takes
// 3.

/**
 * `size` times the radius
 * @typedef {object} DotStyle
 * @property {string} fill
 * @property {string} stroke
 * @property {number} opacity
 * @property {number} size
 */
/**
 * Pictures side by side, in rows of `line` pixels
 * @typedef {object} Sheet
 * @property {Uint32Array} pixels
 * @property {number} side
 * @property {number} line
 */

/**
 * The sheet of each list of styles, of the last radius.
 * @type {WeakMap<DotStyle[], { key: string, sheet: Sheet }>}
 */
const sheets = new WeakMap();
/**
 * A layer as large as each canvas.
 * @type {WeakMap<HTMLCanvasElement, { layer: HTMLCanvasElement, data: ImageData }>}
 */
const layers = new WeakMap();

/**
 * One picture per style.
 * @param {DotStyle[]} styles
 * @param {number} radius in pixels
 * @param {number} ratio pixels per point
 */
function sheetOf(styles, radius, ratio) {
  const key = `${radius} ${ratio}`;
  const known = sheets.get(styles);
  if (known?.key === key) return known.sheet;
  const side = 2 * Math.ceil(radius + ratio);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [side * styles.length, side];
  const g = /** @type {CanvasRenderingContext2D} */ (
    canvas.getContext("2d", { willReadFrequently: true })
  );
  g.lineWidth = 0.8 * ratio;
  styles.forEach(({ fill, stroke, opacity, size }, i) => {
    g.globalAlpha = opacity;
    g.beginPath();
    g.arc((i + 0.5) * side, side / 2, radius * size, 0, 2 * Math.PI);
    if (fill) Object.assign(g, { fillStyle: fill }).fill();
    if (stroke) Object.assign(g, { strokeStyle: stroke }).stroke();
  });
  /** @type {Sheet} */
  const sheet = {
    pixels: new Uint32Array(g.getImageData(0, 0, canvas.width, side).data.buffer),
    side,
    line: canvas.width,
  };
  sheets.set(styles, { key, sheet });
  return sheet;
}

/** @param {HTMLCanvasElement} canvas */
function layerOf(canvas) {
  const known = layers.get(canvas);
  if (known && known.layer.width === canvas.width && known.layer.height === canvas.height)
    return known;
  const layer = document.createElement("canvas");
  [layer.width, layer.height] = [canvas.width, canvas.height];
  const made = { layer, data: new ImageData(canvas.width, canvas.height) };
  layers.set(canvas, made);
  return made;
}

/**
 * Dots on a canvas, above what is there, at whole pixels.
 * @param {CanvasRenderingContext2D} g scaled alike in both directions
 * @param {Float32Array} x centres, in points
 * @param {Float32Array} y
 * @param {Uint16Array} kind numbers of styles
 * @param {number} n how many @param {number} r @param {DotStyle[]} styles
 */
export function drawDots(g, x, y, kind, n, r, styles) {
  const { a: ratio, e, f } = g.getTransform();
  const sheet = sheetOf(styles, r * ratio, ratio);
  const { layer, data } = layerOf(g.canvas);
  const pixels = new Uint32Array(data.data.buffer).fill(0);
  const [left, top] = [e - sheet.side / 2 + 0.5, f - sheet.side / 2 + 0.5];
  for (let i = 0; i < n; i++) {
    const [px, py] = [Math.floor(x[i] * ratio + left), Math.floor(y[i] * ratio + top)];
    stamp(pixels, data, sheet, kind[i] * sheet.side, px, py);
  }
  layer.getContext("2d")?.putImageData(data, 0, 0);
  g.save();
  g.setTransform(1, 0, 0, 1, 0, 0);
  g.drawImage(layer, 0, 0);
  g.restore();
}

/**
 * The same as circles of an SVG.
 * @param {(text: unknown) => string} xml makes text safe
 * @param {Float32Array} x @param {Float32Array} y @param {Uint16Array} kind
 * @param {number} n @param {number} r @param {DotStyle[]} styles
 */
export function svgDots(xml, x, y, kind, n, r, styles) {
  const looks = styles.map(({ fill, stroke, opacity, size }) => {
    const see = opacity < 1 ? ` opacity="${opacity}"` : "";
    const colours = `fill="${xml(fill || "none")}" stroke="${xml(stroke || "none")}"`;
    return `r="${Number((r * size).toFixed(2))}" ${colours}${see}`;
  });
  const circle = (/** @type {number} */ i) =>
    `<circle cx="${x[i].toFixed(1)}" cy="${y[i].toFixed(1)}" ${looks[kind[i]]}/>`;
  const circles = Array.from({ length: n }, (_, i) => circle(i));
  return `<g stroke-width="0.8">${circles.join("")}</g>`;
}

/**
 * One picture of a sheet, as far as it is on the layer.
 * @param {Uint32Array} pixels of the layer @param {{ width: number, height: number }} size its size
 * @param {Sheet} sheet
 * @param {number} from column of the picture
 * @param {number} x
 * @param {number} y where its corner goes
 */
function stamp(pixels, { width, height }, sheet, from, x, y) {
  const { side, line } = sheet;
  const [first, last] = [Math.max(0, -x), Math.min(side, width - x)];
  for (let row = Math.max(0, -y); row < Math.min(side, height - y); row++) {
    let to = (y + row) * width + x + first;
    for (let at = row * line + from + first; at < row * line + from + last; at++, to++) {
      const own = sheet.pixels[at];
      const alpha = own >>> 24;
      if (alpha === 0) continue;
      pixels[to] = alpha === 255 || pixels[to] === 0 ? own : over(own, pixels[to]);
    }
  }
}

/**
 * One colour above another, each 0xAABBGGRR, as little-endian machines read RGBA.
 * @param {number} top
 * @param {number} below
 */
export function over(top, below) {
  const a = top >>> 24;
  const b = ((below >>> 24) * (255 - a)) / 255;
  const all = a + b;
  const red = ((top & 255) * a + (below & 255) * b) / all;
  const green = (((top >>> 8) & 255) * a + ((below >>> 8) & 255) * b) / all;
  const blue = (((top >>> 16) & 255) * a + ((below >>> 16) & 255) * b) / all;
  return (
    ((Math.round(all) << 24) |
      (Math.round(blue) << 16) |
      (Math.round(green) << 8) |
      Math.round(red)) >>>
    0
  );
}

// @ts-check
// The drawing operations of `surface.js` as SVG.

import { svgDots } from "./dots.js";
import { MONO, SANS, cellsOf, inkOf } from "./surface.js";

/** @import { Surface } from "./types.js" */

/** @typedef {import("./surface.js").TextStyle} TextStyle */

/** Text for XML. @param {unknown} text */
export function xml(text) {
  const safe = String(text).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, "");
  return safe.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** @implements {Surface} */
export class SvgSurface {
  /** @param {number} width @param {number} height @param {string} background */
  constructor(width, height, background) {
    this.width = width;
    this.height = height;
    this.clips = 0;
    /** @type {string[]} */
    this.parts = [`<rect width="${width}" height="${height}" fill="${background}"/>`];
    this.ink = /** @type {CanvasRenderingContext2D} */ (
      document.createElement("canvas").getContext("2d")
    );
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
    this.parts.push(
      `<rect ${box(x, y, w, h)} fill="${xml(fill)}"${opacity < 1 ? ` opacity="${opacity}"` : ""}/>`,
    );
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
    this.parts.push(
      `<rect ${box(x, y, w, h)} fill="none" stroke="${xml(stroke)}" stroke-width="${width}"/>`,
    );
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
    const dashes = dash.length ? ` stroke-dasharray="${dash.join(" ")}"` : "";
    const ends = `x1="${n(x1)}" y1="${n(y1)}" x2="${n(x2)}" y2="${n(y2)}"`;
    this.parts.push(`<line ${ends} stroke="${xml(stroke)}" stroke-width="${width}"${dashes}/>`);
  }

  /**
   * @param {number[][]} points
   * @param {string} stroke
   * @param {number} [width]
   * @param {string} [fill]
   */
  path(points, stroke, width = 1, fill = "") {
    const d =
      points.map(([x, y], i) => `${i ? "L" : "M"}${n(x)} ${n(y)}`).join("") + (fill ? "Z" : "");
    this.parts.push(`<path d="${d}" ${painted(fill, stroke)} stroke-width="${width}"/>`);
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {number} r
   * @param {string} fill
   * @param {string} [stroke]
   */
  circle(x, y, r, fill, stroke = "") {
    this.parts.push(`<circle cx="${n(x)}" cy="${n(y)}" r="${n(r)}" ${painted(fill, stroke)}/>`);
  }

  /** @param {Parameters<Surface["dots"]>} dots */
  dots(...dots) {
    this.parts.push(svgDots(xml, ...dots));
  }

  /** @param {number} x @param {number} y @param {string} text @param {TextStyle} style */
  text(x, y, text, { fill, size = 11, align = "left", weight = 400, mono = false, turn = 0 }) {
    const anchor = { left: "start", center: "middle", right: "end" }[align];
    const turned = turn ? ` transform="rotate(${turn} ${n(x)} ${n(y)})"` : "";
    const family = xml(mono ? MONO : SANS);
    const font = `font-family="${family}" font-size="${size}" font-weight="${weight}"`;
    const place = `x="${n(x)}" y="${n(y)}" dy="0.35em" text-anchor="${anchor}"`;
    this.parts.push(`<text ${place} fill="${xml(fill)}" ${font}${turned}>${xml(text)}</text>`);
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
    const [left, right, ascent, descent] = inkOf(this.ink, letter);
    const scale = `scale(${n(w / (left + right))} ${n(h / (ascent + descent))})`;
    const moved = `translate(${n(x)} ${n(y + h)}) ${scale}`;
    const font = `font-family="${xml(SANS)}" font-size="100" font-weight="700"`;
    const place = `transform="${moved}" x="${n(left)}" y="${n(-descent)}"`;
    this.parts.push(`<text ${place} fill="${xml(fill)}" ${font}>${xml(letter)}</text>`);
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
    const url = cellsOf(rgba, columns, rows).toDataURL("image/png");
    const style = 'preserveAspectRatio="none" style="image-rendering:pixelated"';
    this.parts.push(`<image ${box(x, y, w, h)} ${style} href="${url}"/>`);
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {number} w
   * @param {number} h
   * @param {{ bitmap: ImageBitmap, url: string }} source
   */
  picture(x, y, w, h, { url }) {
    this.parts.push(`<image ${box(x, y, w, h)} preserveAspectRatio="none" href="${xml(url)}"/>`);
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {number} w
   * @param {number} h
   * @param {() => void} draw
   */
  clip(x, y, w, h, draw) {
    const id = `clip${++this.clips}`;
    this.parts.push(
      `<clipPath id="${id}"><rect ${box(x, y, w, h)}/></clipPath><g clip-path="url(#${id})">`,
    );
    draw();
    this.parts.push("</g>");
  }

  toString() {
    const { width, height } = this;
    const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
    return `<svg xmlns="http://www.w3.org/2000/svg" ${size}>${this.parts.join("")}</svg>`;
  }
}

/** @param {string} fill @param {string} stroke empty: none */
function painted(fill, stroke) {
  return `fill="${xml(fill || "none")}" stroke="${xml(stroke || "none")}"`;
}

/** A number for SVG. @param {number} value */
function n(value) {
  return Number(value.toFixed(3));
}

/** @param {number} x @param {number} y @param {number} w @param {number} h */
function box(x, y, w, h) {
  return `x="${n(x)}" y="${n(y)}" width="${n(w)}" height="${n(h)}"`;
}

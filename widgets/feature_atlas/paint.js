// @ts-check
// The map on a `Surface`: points, the marks of what is selected, the lasso.

/** @import { Surface, Theme } from "../kit/types.js" */

/**
 * @typedef {object} Scene
 * @property {import("./points.js").Points} points
 * @property {import("./camera.js").Camera} camera
 * @property {import("./colouring.js").Colouring} coloured
 * @property {{ order: Uint32Array, kinds: Uint16Array }} layers
 * @property {Theme} theme
 * @property {{ selected: number, pinned: number[] }} marks numbers of features
 */

/**
 * Radius of a point: smaller for many, larger close by.
 * @param {number} n
 * @param {number} zoom
 * @param {number} width
 */
export function radiusOf(n, zoom, width) {
  const whole = (n > 4000 ? 2 : n > 1500 ? 2.5 : 3.5) * (width < 480 ? 0.8 : 1);
  return Math.round(2 * Math.min(7, whole * zoom ** 0.35)) / 2;
}

/** Draws the points that are seen; its arrays are kept from frame to frame. */
export class Painter {
  /** @param {number} n points */
  constructor(n) {
    this.x = new Float32Array(n);
    this.y = new Float32Array(n);
    this.kind = new Uint16Array(n);
  }

  /** @param {Surface} surface @param {Scene} scene */
  draw(surface, scene) {
    const { points, camera, coloured } = scene;
    const radius = radiusOf(points.n, camera.zoom, camera.width);
    const n = this.place(scene, radius + 1);
    surface.dots(this.x, this.y, this.kind, n, radius, coloured.styles);
    drawMarks(surface, scene, radius);
    return n;
  }

  /** Where the points in the picture are; how many. @param {Scene} scene @param {number} edge */
  place({ points, camera, layers }, edge) {
    const { width, height, scale } = camera;
    const [left, top] = [camera.toX(0), camera.toY(0)];
    let n = 0;
    for (const i of layers.order) {
      const [x, y] = [left + points.x[i] * scale, top - points.y[i] * scale];
      if (x < -edge || y < -edge || x > width + edge || y > height + edge) continue;
      this.x[n] = x;
      this.y[n] = y;
      this.kind[n++] = layers.kinds[i];
    }
    return n;
  }
}

/**
 * Rings and numbers; the selected feature's last.
 * @param {Surface} surface
 * @param {Scene} scene
 * @param {number} radius
 */
function drawMarks(surface, scene, radius) {
  const { selected, pinned } = scene.marks;
  for (const feature of new Set([...pinned, selected])) {
    const i = scene.points.place(feature);
    if (i >= 0) drawMark(surface, scene, i, radius, feature === selected);
  }
}

/**
 * @param {Surface} surface
 * @param {Scene} scene
 * @param {number} i
 * @param {number} radius
 * @param {boolean} isSelected
 */
function drawMark(surface, { points, camera, coloured, theme }, i, radius, isSelected) {
  const [x, y] = [camera.toX(points.x[i]), camera.toY(points.y[i])];
  const { fill, stroke, size } = coloured.styles[coloured.kinds[i]];
  const ring = isSelected ? theme.accent : theme.text;
  surface.circle(x, y, radius + 4, theme.ground, ring);
  if (isSelected) surface.circle(x, y, radius + 5, "", ring);
  surface.circle(x, y, radius * size, fill, stroke);
  const said = String(points.feature[i]);
  const wide = 7 * said.length + 4;
  const left = x + radius + 8 + wide > camera.width ? x - radius - 8 - wide : x + radius + 8;
  surface.rect(left, y - 8, wide, 16, theme.ground, 0.8);
  surface.text(left + 2, y, said, { fill: ring, size: 11.5, weight: 600 });
}

/**
 * @param {Surface} surface
 * @param {Theme} theme
 * @param {number[][]} path in points of the picture
 */
export function drawLasso(surface, theme, path) {
  if (path.length < 2) return;
  surface.path(path, "", 1, theme.dark ? "rgba(240,168,48,0.14)" : "rgba(192,78,0,0.12)");
  surface.path([...path, path[0]], theme.accent, 1.5);
}

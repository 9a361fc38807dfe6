// @ts-check
// Which part of the map is seen: both axes have one scale, since a map's directions mean nothing.

const EDGE = 18; // points of the picture that stay free around the map
const MOST = 60; // times the size at which all is seen

/**
 * From the map's units to points of the picture and back; y goes up on the map, down in the
 * picture.
 */
export class Camera {
  /** @param {number[]} extent x0, y0, x1, y1 of the map */
  constructor(extent) {
    this.extent = extent;
    this.width = 1;
    this.height = 1;
    this.zoom = 1;
    this.x = (extent[0] + extent[2]) / 2;
    this.y = (extent[1] + extent[3]) / 2;
  }

  /** Show all. */
  reset() {
    const [x0, y0, x1, y1] = this.extent;
    this.zoom = 1;
    this.x = (x0 + x1) / 2;
    this.y = (y0 + y1) / 2;
  }

  /** The middle of the map is in the middle of the picture. */
  get isWhole() {
    const [x0, y0, x1, y1] = this.extent;
    return this.x === (x0 + x1) / 2 && this.y === (y0 + y1) / 2;
  }

  /** @param {number} width @param {number} height of the picture, in points */
  resize(width, height) {
    this.width = width;
    this.height = height;
  }

  /** Points of the picture per unit of the map. */
  get scale() {
    const [x0, y0, x1, y1] = this.extent;
    const room = (/** @type {number} */ side, /** @type {number} */ span) =>
      Math.max(1, side - 2 * EDGE) / (span || 1e-6);
    const fit = Math.min(room(this.width, x1 - x0), room(this.height, y1 - y0));
    return fit * this.zoom;
  }

  /** @param {number} x */
  toX(x) {
    return this.width / 2 + (x - this.x) * this.scale;
  }

  /** @param {number} y */
  toY(y) {
    return this.height / 2 - (y - this.y) * this.scale;
  }

  /**
   * @param {{ x: number, y: number }} at in the picture
   * @returns {{ x: number, y: number }} on the map
   */
  from(at) {
    return {
      x: this.x + (at.x - this.width / 2) / this.scale,
      y: this.y - (at.y - this.height / 2) / this.scale,
    };
  }

  /**
   * Move the map with the pointer; the middle stays on it.
   * @param {number} dx
   * @param {number} dy in points of the picture
   */
  pan(dx, dy) {
    this.look(this.x - dx / this.scale, this.y + dy / this.scale);
  }

  /** Put a place of the map in the middle. @param {number} x @param {number} y */
  look(x, y) {
    const [x0, y0, x1, y1] = this.extent;
    this.x = Math.max(x0, Math.min(x1, x));
    this.y = Math.max(y0, Math.min(y1, y));
  }

  /**
   * Zoom, with what is under a point of the picture staying there; zoomed out fully, all is seen.
   * @param {number} factor @param {{ x: number, y: number }} [at] the middle where it is left out
   */
  zoomBy(factor, at = { x: this.width / 2, y: this.height / 2 }) {
    const place = this.from(at);
    const zoom = Math.max(1, Math.min(MOST, this.zoom * factor));
    if (zoom === 1) return this.reset();
    this.zoom = zoom;
    const now = this.from(at);
    this.look(this.x + place.x - now.x, this.y + place.y - now.y);
  }

  /**
   * Is a place in the picture? All are where the whole map is seen, also before the picture has a
   * size.
   * @param {number} x
   * @param {number} y on the map
   * @param {number} [edge] of the picture, left out
   */
  shows(x, y, edge = 0) {
    if (this.zoom === 1 && this.isWhole) return true;
    const [px, py] = [this.toX(x), this.toY(y)];
    return px >= edge && px <= this.width - edge && py >= edge && py <= this.height - edge;
  }
}

// @ts-check
// NGL's stage, tamed: no listeners on the document, no keys, no tooltip; colours close
// to those of the scale.

import { Molecule } from "./molecule.js";

/** @import { Packed } from "../kit/types.js" */
/** @import { Residue } from "./paint.js" */

/**
 * @typedef {object} Picked what is drawn at a point
 * @property {Molecule} molecule
 * @property {Residue} [residue] undefined: another chain, or no amino acid
 * @property {any} atom NGL's
 */

const MARGIN = 0.08; // of the picture; a residue nearer to its edge counts as off screen
const MOVING = 350; // ms
const LEAVING = 1000; // ms
const ROOM = 3; // angstrom around alpha carbons, for side chains
// A face turned to the viewer has its colour: the intensities add up to 1. Little fog, since it
// would pass for a low activation.
const LIGHT = {
  lightColor: "white",
  lightIntensity: 0.55,
  ambientColor: "white",
  ambientIntensity: 0.45,
};
const FOG = { fogNear: 50, fogFar: 180 };

/** Does this browser draw in three dimensions? */
export function hasWebGl() {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("webgl2") ?? canvas.getContext("webgl");
  context?.getExtension("WEBGL_lose_context")?.loseContext(); // browsers keep about 16
  return Boolean(context);
}

export class Scene {
  /** @param {any} NGL @param {HTMLElement} element @param {string} ground colour */
  constructor(NGL, element, ground) {
    this.NGL = NGL;
    this.element = element;
    const plain = { tooltip: false, sampleLevel: -1, clipDist: 0 };
    this.stage = new NGL.Stage(element, { backgroundColor: ground, ...plain, ...LIGHT, ...FOG });
    this.stage.log = () => {}; // it writes to the console
    this.stage.mouseObserver.dispose();
    this.stage.keyBehavior.dispose();
    const { domElement } = this.stage.viewer.renderer;
    domElement.removeAttribute("tabindex");
    domElement.style.touchAction = ""; // the element's counts
    /** @type {(Molecule | null)[]} the protein, and the one laid on it */
    this.molecules = [null, null];
    /** @type {Molecule[]} */
    this.leaving = [];
  }

  /**
   * @param {number} which 0, 1
   * @param {Packed | null} packed the payload; null removes it
   * @param {number} unknown colour
   * @param {() => boolean} wanted still, once it is read
   */
  async show(which, packed, unknown, wanted) {
    const component = packed && (await this.read(packed));
    if (!wanted()) {
      if (component) this.stage.removeComponent(component);
      return false;
    }
    this.remove(which);
    if (component)
      this.molecules[which] = new Molecule(this.NGL, component, packed.record, unknown);
    return true;
  }

  /** @param {Packed} packed */
  read(packed) {
    return this.stage.loadFile(new Blob([packed.arrays.pdb], { type: "text/plain" }), {
      ext: "pdb",
    });
  }

  /** @param {number} which */
  remove(which) {
    const old = this.molecules[which];
    this.molecules[which] = null;
    if (!old) return;
    old.component.setVisibility(false);
    this.leaving.push(old);
    clearTimeout(this.parting);
    this.parting = setTimeout(() => this.part(), LEAVING);
    this.draw();
  }

  /**
   * Give back what has been removed: only once its successor is drawn, which then finds the shaders
   * compiled.
   */
  part() {
    for (const old of this.leaving.splice(0)) {
      this.stage.removeComponent(old.component);
      old.dispose();
    }
  }

  draw() {
    this.stage.viewer.requestRender();
  }

  /** The whole chain, its longest axis along the longer side. */
  reset() {
    const molecule = this.molecules[0];
    if (!molecule) return;
    const { viewer, viewerControls } = this.stage;
    if (viewer.width < 2) return;
    const view = molecule.component.structure.getView(new this.NGL.Selection(molecule.chain));
    viewerControls.rotate(view.getPrincipalAxes().getRotationQuaternion());
    const centre = molecule.component.getCenter(molecule.chain);
    if (viewer.width > viewer.height)
      viewer.rotationGroup.rotateOnWorldAxis(centre.clone().set(0, 0, 1), Math.PI / 2);
    viewerControls.center(centre);
    viewerControls.distance(this.distance(molecule, viewer));
  }

  /**
   * From where the chain, as it is turned, fills the picture.
   * @param {Molecule} molecule
   * @param {any} viewer
   */
  distance(molecule, viewer) {
    const { position } = viewer.translationGroup;
    const slope = Math.tan((viewer.perspectiveCamera.fov * Math.PI) / 360);
    const [wide, high] = [(slope * viewer.width) / viewer.height, slope];
    return Math.max(
      20,
      ...molecule.residues.map((residue) => {
        const { x, y, z } = molecule
          .pointOf(residue)
          .add(position)
          .applyQuaternion(viewer.rotationGroup.quaternion);
        return Math.max((Math.abs(x) + ROOM) / wide, (Math.abs(y) + ROOM) / high) - z;
      }),
    );
  }

  /** @param {number} dx points to the right @param {number} dy down */
  rotate(dx, dy) {
    this.stage.trackballControls.rotate(-dx, -dy);
  }

  /** @param {number} dx points to the right @param {number} dy down */
  pan(dx, dy) {
    this.stage.trackballControls.pan(-dx, -dy);
  }

  /** @param {number} share 0.1: nearer by a tenth */
  zoom(share) {
    this.stage.viewerControls.zoom(share);
  }

  /**
   * What is drawn there.
   * @param {number} x @param {number} y points from the upper left corner
   * @returns {Picked | null}
   */
  pick(x, y) {
    const picked = this.stage.pickingControls.pick(x, this.stage.viewer.height - y);
    const atom = picked?.atom ?? picked?.bond?.atom1;
    const molecule = atom && this.molecules.find((m) => m?.component === picked.component);
    return molecule ? { molecule, residue: molecule.residueOf(atom), atom } : null;
  }

  /** Points from the upper left corner. @param {any} point of the scene */
  at(point) {
    const { x, y } = this.stage.viewerControls.getPositionOnCanvas(point);
    return { x, y: this.stage.viewer.height - y };
  }

  /**
   * Moves a residue to the middle where it is off screen.
   * @param {any} point
   * @param {boolean} still no animation
   */
  bring(point, still) {
    const { x, y } = this.at(point);
    const { width, height } = this.stage.viewer;
    const seen =
      x > MARGIN * width &&
      x < (1 - MARGIN) * width &&
      y > MARGIN * height &&
      y < (1 - MARGIN) * height;
    if (!seen) this.stage.animationControls.move(point, still ? 0 : MOVING);
  }

  /** @param {string} colour */
  ground(colour) {
    this.stage.setParameters({ backgroundColor: colour });
  }

  resize() {
    const hidden = this.stage.viewer.width < 2;
    this.stage.handleResize();
    if (hidden) this.reset(); // it was made before it had a size
  }

  /** The picture in finer pixels. @param {number} factor @returns {Promise<Blob>} */
  image(factor) {
    return this.stage.makeImage({ factor, antialias: true, transparent: false });
  }

  dispose() {
    clearTimeout(this.parting);
    this.part();
    for (const molecule of this.molecules) molecule?.dispose();
    const { renderer } = this.stage.viewer;
    this.stage.dispose();
    renderer.forceContextLoss();
  }
}

// @ts-check
// One protein's chain as NGL draws it: its residues, its colours, what is drawn of it.

import { atomsOf, sideChains } from "./paint.js";

const HALO = 0.35;
// Without a shine, so that a colour is that of the scale.
const DULL = { roughness: 1, metalness: 0 };

/** @typedef {import("./paint.js").Residue} Residue */
/**
 * @typedef {object} Dress how it is drawn
 * @property {string} representation "sticks", "cartoon", "surface"
 * @property {Residue[]} strong residues with side chains
 * @property {boolean} thin the second of two
 * @property {boolean} chains whether to draw other chains
 * @property {string} accent @property {string} muted colours
 */

export class Molecule {
  /**
   * @param {any} NGL
   * @param {any} component NGL's
   * @param {any} record of the payload
   * @param {number} unknown colour
   */
  constructor(NGL, component, record, unknown) {
    this.NGL = NGL;
    this.component = component;
    this.record = record;
    this.accession = record.accession;
    const letters = Object.entries(record.chains);
    this.letter = letters.find(([, name]) => name === record.chain)?.[0] ?? "A";
    this.alone = letters.length < 2;
    /** @type {Residue[]} */
    this.residues = residuesOf(component.structure, this.letter, record);
    this.places = new Map(this.residues.filter((r) => r.position).map((r) => [r.position, r]));
    /** @type {Uint32Array} 0xrrggbb by position */
    this.paint = new Uint32Array([unknown]);
    const { registry, molecule } = { registry: NGL.ColormakerRegistry, molecule: this };
    this.scheme = registry.addScheme(function (/** @type {any} */ _parameters) {
      // @ts-ignore: NGL calls it as a constructor
      this.atomColor = (/** @type {any} */ atom) => molecule.paint[atom.bfactor] ?? unknown;
    });
    /** @type {Record<string, any>} */
    this.drawn = {};
  }

  /** The amino acids of the chain, for NGL. */
  get chain() {
    return `:${this.letter} and protein`;
  }

  /** Build what is drawn. @param {Dress} dress */
  dress({ representation, strong, thin, chains, accent, muted }) {
    this.component.removeAllRepresentations();
    this.component.reprList.length = 0;
    this.drawn = {};
    const coloured = { color: this.scheme, ...DULL };
    const [n, sele] = [this.residues.length, this.chain];
    if (thin) this.add("chain", "tube", { ...coloured, ...line(0.16), sele });
    else if (representation === "surface")
      this.add("chain", "surface", { ...coloured, ...skin(n), sele });
    else this.add("chain", "cartoon", { ...coloured, ...ribbon(n), sele });
    const radius = thin ? 0.12 : 0.25;
    if (representation === "sticks")
      this.add("sticks", "licorice", { ...coloured, sele: this.sticks(strong), radius });
    if (!thin)
      this.add("ligands", "ball+stick", {
        ...DULL,
        sele: `:${this.letter} and not protein`,
        colorScheme: "element",
      });
    const beside = { ...DULL, disablePicking: true };
    const others = {
      ...beside,
      ...line(0.25),
      sele: `not :${this.letter} and polymer`,
      color: muted,
    };
    if (chains && !this.alone)
      this.add("others", "tube", { ...others, opacity: 0.6, side: "front" });
    const [ball, radiusScale] =
      representation === "surface" && !thin ? ["spacefill", 1.15] : ["ball+stick", 2];
    this.add("selected", ball, { ...beside, sele: "none", color: accent, radiusScale });
    this.add("hovered", "spacefill", {
      ...beside,
      sele: "none",
      color: accent,
      opacity: HALO,
      depthWrite: false,
    });
  }

  /** @param {string} name @param {string} type @param {any} parameters */
  add(name, type, parameters) {
    this.drawn[name] = this.component.addRepresentation(type, parameters);
  }

  /** @param {Residue[]} strong */
  sticks(strong) {
    const atom = this.component.structure.getAtomProxy();
    return sideChains(strong, (index) => {
      atom.index = index;
      return atom.atomname;
    });
  }

  /** Other residues get side chains; the rest stays. @param {Residue[]} strong */
  restick(strong) {
    this.drawn.sticks?.setSelection(this.sticks(strong));
  }

  /** New colours on the geometry that is there. @param {Uint32Array} paint by position */
  recolour(paint) {
    this.paint = paint;
    for (const name of ["chain", "sticks"]) this.drawn[name]?.update({ color: true });
  }

  /** @param {"selected" | "hovered"} mark @param {number | null} position */
  mark(mark, position) {
    const residue = position === null ? undefined : this.places.get(position);
    const atoms = residue
      ? Array.from({ length: residue.end - residue.first }, (_, i) => residue.first + i)
      : [];
    this.drawn[mark]?.setSelection(atomsOf(atoms));
  }

  /** Where a residue is, in the scene. @param {Residue} residue */
  pointOf(residue) {
    return this.component.structure.getAtomProxy(residue.carbon).positionToVector3();
  }

  /** The residue of an atom of this chain. @param {any} atom @returns {Residue | undefined} */
  residueOf(atom) {
    return this.residues.find(({ first, end }) => atom.index >= first && atom.index < end);
  }

  dispose() {
    this.NGL.ColormakerRegistry.removeScheme(this.scheme);
  }
}

/** A line as thick everywhere. @param {number} radius angstrom */
function line(radius) {
  return { radiusType: "size", radiusSize: radius, radiusScale: 1 };
}

/**
 * A ribbon of triangles that a page without a graphics card turns fluently.
 * @param {number} n residues
 */
function ribbon(n) {
  const [subdiv, radialSegments] = n > 400 ? [3, 6] : n > 150 ? [4, 6] : [6, 8];
  return { quality: "custom", subdiv, radialSegments, side: "front" };
}

/**
 * Its surface, likewise; in this thread, since a page inside a notebook may not start others.
 * @param {number} n residues
 */
function skin(n) {
  const scaleFactor = n > 250 ? 0.8 : 1.2;
  return {
    surfaceType: "av",
    probeRadius: 1.4,
    scaleFactor,
    smooth: 2,
    useWorker: false,
    disablePicking: false,
  };
}

/**
 * @param {any} structure
 * @param {string} letter
 * @param {any} record of the payload
 * @returns {Residue[]}
 */
function residuesOf(structure, letter, { chain, numbers }) {
  /** @type {Residue[]} */
  const found = [];
  const atom = structure.getAtomProxy();
  structure.eachResidue((/** @type {any} */ r) => {
    atom.index = r.atomOffset;
    if (r.chainname !== letter || atom.bfactor < 0) return;
    const carbon = r.traceAtomIndex ?? r.atomOffset;
    found.push({
      position: atom.bfactor,
      number: numbers?.[found.length] ?? `${r.resno}${r.inscode.trim()}`,
      name: r.resname,
      letter: r.getResname1(),
      chain,
      first: r.atomOffset,
      end: r.atomOffset + r.atomCount,
      carbon,
    });
  });
  return found;
}

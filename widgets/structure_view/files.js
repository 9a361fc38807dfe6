// @ts-check
// What a person takes away from a structure: the picture with its legend, the table, the molecule.

import { drawPage, pageHeight, sourceOf } from "./legend.js";
import { pdbOf, rowsOf } from "./paint.js";

/** @import { Packed, Surface } from "../kit/types.js" */
/** @import { StructurePanel } from "../structure_view.js" */

const FINE = 3; // pixels per point, as `pictures` draws

/** PNG, SVG, CSV, PDB. @param {StructurePanel} panel */
export function saveStructure(panel) {
  const { view, kit } = panel;
  const menu = view.saves({
    png: async () => (await page(panel)).png(),
    svg: async () => (await page(panel)).svg(),
    csv: () => rows(panel),
  });
  const save = async () => kit.download(await pdb(panel), "chemical/x-pdb", view.fileName("pdb"));
  const hint = "Save the structure as PDB, with activations as B-factors";
  menu.append(view.button("PDB", save, hint));
}

/** The scene as it is now, with its title and its legend. @param {StructurePanel} panel */
async function page({ view, kit, scene, box, entries }) {
  const title = view.subtitle.textContent.replace(/^f/, "F");
  const source = await sourceOf(await scene.image(FINE));
  const parts = { entries, title, width: box.clientWidth, height: box.clientHeight, source };
  const draw = (/** @type {Surface} */ surface) => drawPage(surface, view, parts);
  return kit.pictures(view, () => [parts.width, pageHeight(view, parts)], draw);
}

/** @param {StructurePanel} panel */
function rows(panel) {
  return rowsOf(
    panel.scene.molecules
      .flatMap((molecule) => molecule ?? [])
      .map(({ accession, residues }) => ({
        accession,
        residues,
        values: panel.valuesOf(accession),
      })),
  );
}

/** The first protein alone. @param {StructurePanel} panel */
async function pdb({ molecule, supply, bundle, valuesOf }) {
  const { accession, record } = molecule;
  const packed = /** @type {Packed} */ (await supply.get(accession));
  const text = new TextDecoder().decode(packed.arrays.pdb);
  const remarks = [
    `${accession}, chain ${record.chain} of ${record.name}, feature ${bundle.feature}`,
    "B-factors: activation x 100 (share of the maximum on training",
    "proteins); -1: no UniProt position, activation unknown",
    ...(record.numbers ? ["Residue numbers beyond four columns are modulo 10000"] : []),
  ];
  return pdbOf(text, valuesOf(accession), remarks);
}
